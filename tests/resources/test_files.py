"""Files and PDFs: as bytes, in pieces, or as a new file."""

import asyncio
import stat

import pytest

from persona_share._protocol.http import Response
from persona_share._protocol.urls import parse_file_url
from persona_share._transport.files import NewFile
from persona_share.errors import (
    AuthenticationError,
    ConnectionLostError,
    InvalidArgumentError,
    NotFoundError,
    PersonaError,
    ServerError,
    UnexpectedContentTypeError,
    UnexpectedRedirectError,
)
from persona_share.model.file import File
from persona_share.model.secret import Secret
from persona_share.testing.http import ScriptedSender
from tests.resources.conftest import item, locals_of, make_response, problem


URL = "https://files.withpersona.com/a.png?access_token=s3cret"
NEWER = "https://files.withpersona.com/a.png?access_token=newer"
PDF = {"content-type": "application/pdf", "content-length": "12"}


class Host:
    """The hosts of files, scripted, and the real disk."""

    def __init__(self, *responses):
        self.sender = ScriptedSender(responses)

    @property
    def targets(self):
        return [each.target for each in self.sender.requests]

    async def file_host(self, url):
        return self.sender, parse_file_url(url).target

    async def new_file(self, path):
        return await NewFile.create(path)


def streaming(*pieces, status=200, fails=None, **headers):
    """Return a handler that writes a body to the sink of a request in pieces."""

    async def made(request):
        await request.sink.begin(headers)
        for piece in pieces:
            await request.sink.write(piece)
        if fails is not None:
            raise fails
        return Response(status=status, headers=headers)

    return made


async def pieces_of(download):
    return [piece async for piece in download]


@pytest.mark.asyncio
async def test_file_is_fetched_without_any_credential(harness):
    host = Host(streaming(b"ab", b"cd"))
    there = harness(file_access=host)

    body = await there.client.files.download(File("a.png", Secret(URL), 4))

    assert body == b"abcd"
    (request,) = host.sender.requests
    assert (request.method, request.authorization) == ("GET", None)
    assert request.headers == {"Accept": "*/*"}
    assert request.target == "/a.png?access_token=s3cret"
    assert "s3cret" not in repr(request)
    assert there.requests == []


@pytest.mark.asyncio
async def test_file_is_iterated_in_pieces(harness):
    there = harness(file_access=Host(streaming(b"ab", b"", b"cd")))

    assert await pieces_of(there.client.files.download(URL)) == [b"ab", b"cd"]


@pytest.mark.asyncio
async def test_stopped_iteration_leaves_no_task(harness):
    there = harness(file_access=Host(streaming(b"ab", b"cd", b"ef", b"gh")))
    walk = aiter(there.client.files.download(URL))

    assert await anext(walk) == b"ab"
    await walk.aclose()


@pytest.mark.asyncio
async def test_saved_file_is_new_and_readable_by_its_owner_only(harness, tmp_path):
    place = tmp_path / "a.png"
    reported = []
    host = Host(streaming(b"ab", b"cd", **{"content-length": "4"}))

    saved = (
        await harness(file_access=host)
        .client.files.download(URL)
        .save(place, progress=lambda done, total: reported.append((done, total)))
    )

    assert saved == place
    assert place.read_bytes() == b"abcd"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert reported == [(2, 4), (4, 4)]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
async def test_existing_file_is_never_overwritten(harness, tmp_path, kind):
    place, other = tmp_path / "a.png", tmp_path / "other"
    if kind == "file":
        place.write_bytes(b"mine")
    else:
        place.symlink_to(other)
    if kind == "link":
        other.write_bytes(b"mine")
    host = Host()

    with pytest.raises(FileExistsError):
        await harness(file_access=host).client.files.download(URL).save(place)

    assert host.targets == []
    assert other.exists() == (kind == "link")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "failure",
    [streaming(b"ab", fails=ConnectionLostError("lost")), make_response(None, 500)],
    ids=["in the middle", "at once"],
)
async def test_download_that_fails_leaves_no_file(harness, tmp_path, failure):
    place = tmp_path / "a.png"

    with pytest.raises((ConnectionLostError, ServerError)):
        await harness(file_access=Host(failure)).client.files.download(URL).save(place)

    assert not place.exists()


@pytest.mark.asyncio
async def test_cancelled_save_writes_into_no_other_file(harness, tmp_path):
    others = []
    for number in range(200):  # a thread writes at a moment of its own
        place = tmp_path / f"{number}.png"
        host = Host(streaming(b"the data of a person"))
        save = harness(file_access=host).client.files.download(URL).save(place)
        task = asyncio.ensure_future(save)
        for _ in range(1_000):
            await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
            if place.exists():
                break
        for _ in range(number % 4):
            await asyncio.sleep(0)  # noqa: TID251 — as above
        task.cancel()
        await asyncio.wait({task})
        others.append((tmp_path / f"{number}.other").open("wb"))
        if task.cancelled():
            assert not place.exists()
    for other in others:
        other.close()
    assert not any(each.stat().st_size for each in tmp_path.glob("*.other"))


@pytest.mark.asyncio
async def test_second_attempt_restarts_the_file(harness, tmp_path):
    async def twice(request):
        await streaming(b"half of ")(request)
        return await streaming(b"all")(request)

    place = tmp_path / "a.png"
    await harness(file_access=Host(twice)).client.files.download(URL).save(place)

    assert place.read_bytes() == b"all"


@pytest.mark.asyncio
async def test_second_attempt_fails_after_pieces_were_delivered(harness):
    async def twice(request):
        await streaming(b"half of ")(request)
        return await streaming(b"all")(request)

    with pytest.raises(ConnectionLostError, match="was delivered"):
        await pieces_of(harness(file_access=Host(twice)).client.files.download(URL))


@pytest.mark.asyncio
async def test_local_errors_are_raised_unchanged(harness, tmp_path):
    def full(done, total):
        raise OSError(28, "No space left on device")

    place = tmp_path / "a.png"
    there = harness(
        file_access=Host(streaming(b"ab", fails=ConnectionLostError("not taken")))
    )

    with pytest.raises(OSError, match="No space left"):
        await there.client.files.download(URL).save(place, progress=full)
    assert not place.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_expired_url_is_refreshed_once(harness, status):
    host = Host(make_response(None, status), streaming(b"ab"))

    async def renew():
        return Secret(NEWER)

    body = await harness(file_access=host).client.files.download(URL, renew=renew)

    assert body == b"ab"
    assert host.targets == [
        "/a.png?access_token=s3cret",
        "/a.png?access_token=newer",
    ]


@pytest.mark.asyncio
async def test_url_that_is_refused_twice_raises(harness):
    host = Host(make_response(None, 403), make_response(None, 404))

    async def renew():
        return NEWER

    with pytest.raises(NotFoundError):
        await harness(file_access=host).client.files.download(URL, renew=renew)


@pytest.mark.asyncio
async def test_refusal_is_raised_when_there_is_no_renew(harness):
    with pytest.raises(AuthenticationError) as caught:
        await harness(file_access=Host(make_response(None, 401))).client.files.download(
            URL
        )

    assert "s3cret" not in str(caught.value)
    assert caught.value.operation == "GET /{file}"


@pytest.mark.asyncio
async def test_object_is_retrieved_again_for_a_new_url(harness):
    def document(url):
        files = [{"filename": "a.png", "url": url, "byte-size": 2}]
        return make_response({"data": item("document/generic", "doc_1", files=files)})

    host = Host(make_response(None, 403), streaming(b"ab"))
    there = harness(document(URL), document(NEWER), file_access=host)
    client = there.client

    body = await client.files.download_of(
        lambda: client.documents.retrieve_generic("doc_1"),
        lambda found: found.files()[0].file,
    )

    assert body == b"ab"
    assert [each.target for each in there.requests] == ["/document/generics/doc_1"] * 2
    assert host.targets[1] == "/a.png?access_token=newer"


@pytest.mark.asyncio
async def test_object_without_the_file_raises(harness):
    there = harness(
        make_response({"data": item("document/generic", "doc_1")}), file_access=Host()
    )
    client = there.client

    with pytest.raises(InvalidArgumentError, match="no such file"):
        await client.files.download_of(
            lambda: client.documents.retrieve_generic("doc_1"), lambda _: None
        )


@pytest.mark.asyncio
async def test_redirect_is_not_followed(harness):
    away = make_response(None, 302, location="https://evil.example/a")
    host = Host(away)

    with pytest.raises(UnexpectedRedirectError):
        await harness(file_access=host).client.files.download(URL)
    assert len(host.targets) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("file", ["https://evil.example/a", File("a.png")])
async def test_other_hosts_are_refused(harness, file):
    host = Host()

    with pytest.raises(InvalidArgumentError):
        await harness(file_access=host).client.files.download(file)
    assert host.targets == []


# ── printing ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_print_requests_a_pdf_with_the_client_s_credential(harness):
    there = harness(streaming(b"%PDF-1.7 ", b"end", **PDF))

    assert await there.client.inquiries.print("inq_1") == b"%PDF-1.7 end"
    (request,) = there.requests
    assert request.target == "/inquiries/inq_1/print"
    assert request.headers["Accept"].startswith("application/pdf")


@pytest.mark.asyncio
async def test_print_can_be_saved(harness, tmp_path):
    there = harness(streaming(b"%PDF-1.7", **PDF), file_access=Host())

    saved = await there.client.reports.print("rep_1").save(tmp_path / "a.pdf")

    assert saved.read_bytes() == b"%PDF-1.7"


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["application/json", "text/html; charset=utf-8", ""])
async def test_other_content_type_is_refused_as_pdf(harness, kind):
    there = harness(streaming(b"<html>", **{"content-type": kind}))

    with pytest.raises(UnexpectedContentTypeError):
        await there.client.verifications.print("ver_1")


@pytest.mark.asyncio
async def test_sender_may_return_the_whole_body(harness):
    there = harness(Response(status=200, headers=PDF, body=b"%PDF-1.7"))

    assert await pieces_of(there.client.inquiries.print("inq_1")) == [b"%PDF-1.7"]


@pytest.mark.asyncio
async def test_refused_print_raises_an_api_error(harness):
    with pytest.raises(NotFoundError):
        await harness(problem(404, "Record not found")).client.inquiries.print("inq_1")


@pytest.mark.parametrize("wrap", [str, Secret])
@pytest.mark.parametrize(
    ("host", "responses"),
    [
        ("evil.example", []),
        ("files.withpersona.com", [problem(403)]),
        ("files.withpersona.com", [ConnectionLostError("lost")]),
    ],
    ids=["refused host", "refused", "lost"],
)
@pytest.mark.asyncio
async def test_no_frame_of_a_failed_download_shows_the_url(
    harness, wrap, host, responses
):
    there = harness(file_access=Host(*responses))

    with pytest.raises(PersonaError) as caught:
        await there.client.files.download(wrap(f"https://{host}/a?access_token=CANARY"))
    assert "CANARY" not in f"{caught.value}{locals_of(caught.value)}"


@pytest.mark.asyncio
async def test_iteration_ends_when_its_transfer_is_cancelled_by_something_else(harness):
    host = Host(streaming(b"ab", fails=asyncio.CancelledError()))
    there = harness(file_access=host)

    with pytest.raises(ConnectionLostError, match="canceled"):
        await asyncio.wait_for(pieces_of(there.client.files.download(URL)), 10)
