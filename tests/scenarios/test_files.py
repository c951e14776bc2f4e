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
from tests.servers import RawServer, http_response, respond_with


FILE = "GET (file)"
CONTENT = bytes(range(256)) * 1_000


@pytest.fixture
def document(scenario):
    return scenario.sandbox.add_document(content=CONTENT).id


async def file_of(scenario, document):
    found = await scenario.source.documents.retrieve_generic(document)
    return found.files()[0].file


@pytest.mark.asyncio
async def test_file_is_fetched_from_the_second_host_without_a_bearer(
    scenario, document
):
    file = await file_of(scenario, document)

    whole = await scenario.source.files.download(file)
    pieces = [piece async for piece in scenario.source.files.download(file)]

    assert file.url.reveal().startswith("http://127.0.0.2:")
    assert whole == b"".join(pieces) == CONTENT
    assert len(pieces) > 1
    assert scenario.sandbox.log.count(FILE, status=200) == 2
    assert scenario.sandbox.log.authorizations_at_files == 0


@pytest.mark.asyncio
async def test_download_creates_a_private_file_and_reports_progress(
    scenario, document, tmp_path
):
    file = await file_of(scenario, document)
    reported = []

    saved = await scenario.source.files.download(file).save(
        tmp_path / "paper.pdf",
        progress=lambda done, total: reported.append((done, total)),
    )

    assert saved.read_bytes() == CONTENT
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert reported[-1] == (len(CONTENT), file.byte_size)
    assert [done for done, _ in reported] == sorted({done for done, _ in reported})
    with pytest.raises(FileExistsError):
        await scenario.source.files.download(file).save(saved)


@pytest.mark.asyncio
async def test_expired_file_url_is_refreshed_by_retrieving_the_object(
    scenario, document
):
    file = await file_of(scenario, document)
    scenario.clock.advance(6 * 3600)

    with pytest.raises(PermissionDeniedError):
        await scenario.source.files.download(file)
    renewed = await scenario.source.files.download(
        file, renew=lambda: file_of(scenario, document)
    )

    assert renewed == CONTENT


@pytest.mark.asyncio
async def test_file_of_an_object_is_downloaded(scenario, document, tmp_path):
    scenario.sandbox.switches.file_lifetime = 0  # each address ends before it is used
    download = scenario.source.files.download_of(
        lambda: scenario.source.documents.retrieve_generic(document),
        lambda found: found.files()[0].file,
    )

    with pytest.raises(PermissionDeniedError):
        await download.save(tmp_path / "never")
    scenario.sandbox.switches.file_lifetime = 60
    saved = await download.save(tmp_path / "paper.pdf")

    assert saved.read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["paper.pdf"]
    # Once for the first address and once for another, and then the one that was good.
    assert scenario.sandbox.log.count("GET /document/generics/{document-id}") == 3


@pytest.mark.asyncio
async def test_file_over_the_limit_is_refused_and_leaves_nothing(
    scenario, document, tmp_path
):
    file = await file_of(scenario, document)
    small = scenario.source.files.download(file, max_bytes=1_000)
    scenario.sandbox.faults.oversize(3_000_000, times=None)
    endless = scenario.source.files.download(file, max_bytes=1_000_000)

    for download in (small, endless):
        with pytest.raises(ResponseTooLargeError):
            await download.save(tmp_path / "big")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_other_hosts_and_redirects_to_them_see_nothing(scenario, document):
    file = await file_of(scenario, document)
    async with RawServer(respond_with(http_response())) as elsewhere:
        scenario.sandbox.faults.redirect(f"{elsewhere.url}/stolen")
        with pytest.raises(UnexpectedRedirectError):
            await scenario.source.files.download(file)
        assert elsewhere.connections == 0
    async with PersonaClient("localbox_key") as strict:
        for address in (file.url, "https://files.example.com/a.png?access_token=x"):
            with pytest.raises(InvalidArgumentError) as caught:
                await strict.files.download(address)
            assert "access_token" not in str(caught.value)


@pytest.mark.asyncio
async def test_truncated_file_is_downloaded_again(scenario, document, tmp_path):
    file = await file_of(scenario, document)
    scenario.sandbox.faults.truncate(FILE)

    saving = scenario.source.files.download(file).save(tmp_path / "paper.pdf")
    saved = await scenario.advance_until_done(saving)

    assert saved.read_bytes() == CONTENT


@pytest.mark.asyncio
@pytest.mark.parametrize("plural", ["inquiries", "verifications", "reports"])
async def test_object_is_printed_as_pdf(scenario, tmp_path, plural):
    kind = {"inquiries": "inquiry"}.get(plural, plural.removesuffix("s"))
    made = getattr(scenario.sandbox, f"add_{kind}")()
    printed = getattr(scenario.source, plural).print(made.id)

    saved = await printed.save(tmp_path / "print.pdf")

    assert saved.read_bytes().startswith(b"%PDF-")
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_scoped_session_downloads_the_files_of_its_objects(scenario):
    made = scenario.sandbox.add_verification(kind="government-id")
    async with scenario.manager() as manager:
        session = manager.session(f"verification.read:{made.id}")
        found = await session.verifications.retrieve_government_id(made.id)
        photo = await session.files.download(found.front_photo_url)

    assert photo.startswith(b"\x89PNG")
    assert scenario.sandbox.log.authorizations_at_files == 0
