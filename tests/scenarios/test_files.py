"""T26: files come from a separate host, which receives no credential, and PDFs."""

import stat

import pytest

from persona_share import PersonaClient
from persona_share.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    ResponseTooLargeError,
    UnexpectedRedirectError,
)
from tests.servers import RawServer, answer as raw_answer, answering


FILE = "GET (file)"
CONTENT = bytes(range(256)) * 1_000


@pytest.fixture
def document(journey):
    return journey.box.add_document(content=CONTENT).id


async def file_of(journey, document):
    found = await journey.source.documents.retrieve_generic(document)
    return found.files()[0].file


@pytest.mark.asyncio
async def test_t26_a_file_is_fetched_from_the_second_host_without_a_bearer(
    journey, document
):
    file = await file_of(journey, document)

    whole = await journey.source.files.download(file)
    pieces = [piece async for piece in journey.source.files.download(file)]

    assert file.url.reveal().startswith("http://127.0.0.2:")
    assert whole == b"".join(pieces) == CONTENT
    assert len(pieces) > 1
    assert journey.box.log.count(FILE, status=200) == 2
    assert journey.box.log.authorizations_at_files == 0


@pytest.mark.asyncio
async def test_t26_download_creates_a_private_file_and_reports_progress(
    journey, document, tmp_path
):
    file = await file_of(journey, document)
    told = []

    saved = await journey.source.files.download(file).save(
        tmp_path / "paper.pdf", progress=lambda done, total: told.append((done, total))
    )

    assert saved.read_bytes() == CONTENT
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert told[-1] == (len(CONTENT), file.byte_size)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    with pytest.raises(FileExistsError):
        await journey.source.files.download(file).save(saved)


@pytest.mark.asyncio
async def test_t26_expired_file_url_is_renewed_by_retrieving_the_object(
    journey, document
):
    file = await file_of(journey, document)
    journey.clock.advance(6 * 3600)

    with pytest.raises(PermissionDeniedError):
        await journey.source.files.download(file)
    renewed = await journey.source.files.download(
        file, renew=lambda: file_of(journey, document)
    )

    assert renewed == CONTENT


@pytest.mark.asyncio
async def test_t26_file_of_an_object_is_downloaded(journey, document, tmp_path):
    journey.box.switches.file_lifetime = 0  # each address ends before it is used
    download = journey.source.files.download_of(
        lambda: journey.source.documents.retrieve_generic(document),
        lambda found: found.files()[0].file,
    )

    with pytest.raises(PermissionDeniedError):
        await download.save(tmp_path / "never")
    journey.box.switches.file_lifetime = 60
    saved = await download.save(tmp_path / "paper.pdf")

    assert saved.read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["paper.pdf"]
    # Once for the first address and once for another, and then the one that was good.
    assert journey.box.log.count("GET /document/generics/{document-id}") == 3


@pytest.mark.asyncio
async def test_t26_file_over_the_limit_is_refused_and_leaves_nothing(
    journey, document, tmp_path
):
    file = await file_of(journey, document)
    small = journey.source.files.download(file, max_bytes=1_000)
    journey.box.faults.oversize(3_000_000, times=None)
    endless = journey.source.files.download(file, max_bytes=1_000_000)

    for download in (small, endless):
        with pytest.raises(ResponseTooLargeError):
            await download.save(tmp_path / "big")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_t26_other_hosts_and_redirects_to_them_see_nothing(journey, document):
    file = await file_of(journey, document)
    async with RawServer(answering(raw_answer())) as elsewhere:
        journey.box.faults.redirect(f"{elsewhere.url}/stolen")
        with pytest.raises(UnexpectedRedirectError):
            await journey.source.files.download(file)
        assert elsewhere.connections == 0
    async with PersonaClient("localbox_key") as strict:
        for address in (file.url, "https://files.example.com/a.png?access_token=x"):
            with pytest.raises(InvalidArgumentError) as caught:
                await strict.files.download(address)
            assert "access_token" not in str(caught.value)


@pytest.mark.asyncio
async def test_truncated_file_is_downloaded_again(journey, document, tmp_path):
    file = await file_of(journey, document)
    journey.box.faults.truncate(FILE)

    saving = journey.source.files.download(file).save(tmp_path / "paper.pdf")
    saved = await journey.until(saving)

    assert saved.read_bytes() == CONTENT


@pytest.mark.asyncio
@pytest.mark.parametrize("plural", ["inquiries", "verifications", "reports"])
async def test_an_object_is_printed_as_pdf(journey, tmp_path, plural):
    kind = {"inquiries": "inquiry"}.get(plural, plural.removesuffix("s"))
    made = getattr(journey.box, f"add_{kind}")()
    printed = getattr(journey.source, plural).print(made.id)

    saved = await printed.save(tmp_path / "print.pdf")

    assert saved.read_bytes().startswith(b"%PDF-")
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_a_scoped_session_downloads_what_its_objects_name(journey):
    made = journey.box.add_verification(kind="government-id")
    async with journey.manager() as manager:
        session = manager.session(f"verification.read:{made.id}")
        found = await session.verifications.retrieve_government_id(made.id)
        photo = await session.files.download(found.front_photo_url)

    assert photo.startswith(b"\x89PNG")
    assert journey.box.log.authorizations_at_files == 0
