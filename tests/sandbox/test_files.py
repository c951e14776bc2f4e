"""Files: URLs of their own on a second host, which takes no bearer."""

from urllib.parse import urlsplit

import aiohttp
import pytest


HOUR = 3600


async def url_of(raw, document):
    response = await raw.get(f"/documents/{document}")
    (file,) = response.json["data"]["attributes"]["files"]
    return file["url"]


@pytest.mark.asyncio
async def test_file_of_a_document_is_on_another_host(sandbox, raw):
    document = sandbox.add_document(content=b"hello").id

    response = await raw.get(f"/documents/{document}")

    (file,) = response.json["data"]["attributes"]["files"]
    url = urlsplit(file["url"])
    assert (file["filename"], file["byte-size"]) == ("document.pdf", 5)
    assert url.hostname == "127.0.0.2"
    assert url.query.startswith("access_token=localbox_")
    assert file["url"].startswith(sandbox.files_url)
    got = await raw.send("GET", file["url"])
    assert (got.status, got.body) == (200, b"hello")
    assert got.headers["Content-Type"] == "application/pdf"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["front-photo-url", "back-photo-url"])
async def test_verification_has_urls_of_its_photos(sandbox, raw, name):
    verification = sandbox.add_verification().id

    attributes = (await raw.get(f"/verifications/{verification}")).json["data"]

    photo = await raw.send("GET", attributes["attributes"][name])
    assert photo.headers["Content-Type"] == "image/png"
    assert photo.body.startswith(b"\x89PNG")


@pytest.mark.asyncio
async def test_keys_of_a_file_are_inflected(sandbox, raw):
    document = sandbox.add_document().id

    response = await raw.get(
        f"/documents/{document}", headers={"Key-Inflection": "camel"}
    )

    (file,) = response.json["data"]["attributes"]["files"]
    assert set(file) == {"filename", "url", "byteSize"}


@pytest.mark.asyncio
async def test_authorization_header_at_the_file_server_is_refused_and_counted(
    sandbox, raw
):
    url = await url_of(raw, sandbox.add_document().id)

    response = await raw.send("GET", url, sandbox.source.api_key)

    assert response.status == 400
    assert sandbox.log.authorizations_at_files == 1
    (entry,) = sandbox.log.find("GET (file)")
    assert entry.credential == "authorization"
    assert sandbox.source.api_key not in repr(list(sandbox.log))


@pytest.mark.asyncio
async def test_file_url_expires_after_six_hours_and_is_new_in_each_response(
    sandbox, raw
):
    document = sandbox.add_document().id
    url = await url_of(raw, document)
    sandbox.advance(6 * HOUR - 1)
    alive = await raw.send("GET", url)
    sandbox.advance(1)
    dead = await raw.send("GET", url)
    fresh = await raw.send("GET", await url_of(raw, document))

    assert (alive.status, dead.status, fresh.status) == (200, 403, 200)


@pytest.mark.asyncio
async def test_lifetime_and_the_expiry_status_of_file_urls_are_switches(sandbox, raw):
    sandbox.switches.file_lifetime = 60
    sandbox.switches.expired_file_status = 404
    url = await url_of(raw, sandbox.add_document().id)

    sandbox.advance(60)

    assert (await raw.send("GET", url)).status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [403, 404])
async def test_wrong_file_token_is_refused(sandbox, raw, status):
    sandbox.switches.foreign_file_status = status
    one, other = [await url_of(raw, sandbox.add_document().id) for _ in range(2)]
    path, _, _ = one.partition("?")
    _, _, query = other.partition("?")

    for url in (f"{path}?{query}", path, f"{path}?access_token=x"):
        assert (await raw.send("GET", url)).status == status


@pytest.mark.asyncio
async def test_log_has_no_file_tokens(sandbox, raw):
    url = await url_of(raw, sandbox.add_document().id)
    await raw.send("GET", url)

    token = url.partition("access_token=")[2]
    assert token not in repr(list(sandbox.log))


@pytest.mark.asyncio
async def test_file_server_refuses_other_methods_and_hosts(sandbox, raw):
    url = await url_of(raw, sandbox.add_document().id)

    posted = await raw.send("POST", url)
    rebound = await raw.send("GET", url, headers={"Host": "evil.example"})

    assert (posted.status, rebound.status) == (405, 421)


@pytest.mark.asyncio
async def test_fault_redirects_a_file_request(sandbox, raw):
    url = await url_of(raw, sandbox.add_document().id)
    sandbox.faults.redirect("http://127.0.0.1:1/elsewhere")

    first = await raw.send("GET", url, allow_redirects=False)
    second = await raw.send("GET", url)

    assert (first.status, second.status) == (302, 200)
    assert first.headers["Location"] == "http://127.0.0.1:1/elsewhere"


@pytest.mark.asyncio
async def test_fault_sends_too_many_bytes_without_a_length(sandbox, raw):
    url = await url_of(raw, sandbox.add_document(content=b"small").id)
    sandbox.faults.oversize(300_000)

    response = await raw.send("GET", url)

    assert len(response.body) == 300_000
    assert "Content-Length" not in response.headers


@pytest.mark.asyncio
async def test_fault_sends_too_few_bytes(sandbox, raw):
    url = await url_of(raw, sandbox.add_document().id)
    sandbox.faults.truncate("GET (file)")

    with pytest.raises(aiohttp.ClientPayloadError):
        await raw.send("GET", url)


@pytest.mark.asyncio
async def test_fault_cuts_a_file_request_or_changes_its_status(sandbox, raw):
    url = await url_of(raw, sandbox.add_document().id)
    sandbox.faults.cut("GET (file)", times=2)  # a client tries once more by itself
    sandbox.faults.answer("GET (file)", 503)

    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.send("GET", url)
    assert (await raw.send("GET", url)).status == 503
    assert (await raw.send("GET", url)).status == 200


@pytest.mark.asyncio
async def test_clone_has_its_own_files(sandbox, raw):
    first = sandbox.add_document().id
    second = sandbox.add_document().id

    one, other = await url_of(raw, first), await url_of(raw, second)

    assert urlsplit(one).path != urlsplit(other).path
