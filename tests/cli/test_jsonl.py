"""JSON lines: whole ones, in a file that a rerun goes on with."""

import pytest

from persona_share.cli.exit_codes import CliError
from persona_share.cli.jsonl import JsonLines, without_urls


class Found:
    """An object as it came."""

    def __init__(self, **raw):
        self.raw = raw


@pytest.fixture
def places(tmp_path):
    return str(tmp_path / "out"), str(tmp_path / "checkpoint"), tmp_path


def written(places, *ids):
    output, checkpoint, folder = places
    lines = JsonLines(output, checkpoint)
    for each in ids:
        lines.write(Found(id=each))
    lines.close()
    (folder / "checkpoint").touch()
    return (folder / "out").read_bytes()


def test_an_object_is_one_line(places):
    assert written(places, "inq_1", "inq_2") == b'{"id":"inq_1"}\n{"id":"inq_2"}\n'


def test_the_file_is_for_this_user_alone(places):
    written(places)

    assert (places[2] / "out").stat().st_mode & 0o777 == 0o600


def test_a_rerun_goes_on_after_the_last_whole_line_and_knows_its_id(places):
    whole = written(places, "inq_1", "inq_2")
    (places[2] / "out").write_bytes(whole + b'{"id":"inq')
    lines = JsonLines(places[0], places[1])
    lines.write(Found(id="inq_3"))
    lines.close()

    assert lines.last == "inq_2"
    assert (places[2] / "out").read_bytes() == whole + b'{"id":"inq_3"}\n'


def test_a_line_may_be_longer_than_what_is_read_at_once(places):
    written(places)
    lines = JsonLines(places[0], places[1])
    lines.write(Found(id="inq_1", text="x" * 200_000))
    lines.close()

    again = JsonLines(places[0], places[1])
    again.close()

    assert again.last == "inq_1"


def test_a_file_that_is_nothing_but_torn_begins_anew(places):
    written(places)
    (places[2] / "out").write_bytes(b"x" * 100_000)
    lines = JsonLines(places[0], places[1])
    lines.close()

    assert lines.last is None
    assert (places[2] / "out").read_bytes() == b""


def test_a_file_of_somebody_elses_is_left_alone(places):
    (places[2] / "out").write_bytes(b"my only copy\n")
    with pytest.raises(CliError, match="there already"):
        JsonLines(places[0], places[1])
    (places[2] / "checkpoint").touch()
    with pytest.raises(CliError, match="none that was written here"):
        JsonLines(places[0], places[1])

    assert (places[2] / "out").read_bytes() == b"my only copy\n"


def test_a_checkpoint_without_its_file_is_no_way_to_go_on(places):
    written(places, "inq_1")
    (places[2] / "out").unlink()
    with pytest.raises(CliError, match="gone"):
        JsonLines(places[0], places[1])


def test_addresses_of_files_are_left_out_wherever_they_stand():
    raw = {
        "attributes": {
            "front-photo-url": "https://files.withpersona.com/a?access_token=b",
            "files": [{"url": "https://files.withpersona.com/c", "filename": "d"}],
            "redirect-url": None,
            "name": "https://example.com",
        }
    }

    assert without_urls(raw)["attributes"] == {
        "front-photo-url": "**********",
        "files": [{"url": "**********", "filename": "d"}],
        "redirect-url": None,
        "name": "https://example.com",
    }
