"""``persona-share demo``: both organizations, over real sockets."""

import subprocess

import pytest

from tests.processes import LONGEST


@pytest.mark.slow
def test_demo_shares_refuses_and_revokes_without_a_failure(cli):
    ended = cli("demo", "--objects", "4", "--token-lifetime", "2", "--json")
    assert ended.code == 0, ended.err
    report = ended.value
    assert report["objects"] == 12
    assert report["failures"] == report["rate_limited"] == 0
    assert report["partner_refusals"] == report["revocations"] == 1
    assert report["local_refusals"] == 1
    # Each code and each refusal has its line.
    assert report["audit_lines"] > report["exchanges"]
    for said in ("nobody", "revokes the consent", "issued, agreed"):
        assert said in ended.err.replace("without a consent", "nobody")


@pytest.mark.slow
def test_demo_ends_when_the_reader_of_its_output_has_gone(cli):
    process = cli.start(
        *("demo", "--objects", "40", "--token-lifetime", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert b"records consents" in process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=LONGEST)

    assert process.returncode == 141
    assert err == b""
