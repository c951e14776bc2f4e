"""Files: URLs of their own on a second host, which takes no bearer."""

from urllib.parse import urlsplit

import aiohttp
import pytest


HOUR = 3600


async def url_of(raw, document):
    answer = await raw.get(f"/documents/{document}")
    (file,) = answer.json["data"]["attributes"]["files"]
    return file["url"]


@pytest.mark.asyncio
async def test_a_document_names_a_file_on_another_host(box, raw):
    document = box.add_document(content=b"hello").id

    answer = await raw.get(f"/documents/{document}")

    (file,) = answer.json["data"]["attributes"]["files"]
    url = urlsplit(file["url"])
    assert (file["filename"], file["byte-size"]) == ("document.pdf", 5)
    assert url.hostname == "127.0.0.2"
    assert url.query.startswith("access_token=localbox_")
    assert file["url"].startswith(box.files_url)
    got = await raw.send("GET", file["url"])
    assert (got.status, got.body) == (200, b"hello")
    assert got.headers["Content-Type"] == "application/pdf"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["front-photo-url", "back-photo-url"])
async def test_a_verification_names_its_photos(box, raw, name):
    verification = box.add_verification().id

    attributes = (await raw.get(f"/verifications/{verification}")).json["data"]

    photo = await raw.send("GET", attributes["attributes"][name])
    assert photo.headers["Content-Type"] == "image/png"
    assert photo.body.startswith(b"\x89PNG")


@pytest.mark.asyncio
async def test_the_keys_of_a_file_are_inflected(box, raw):
    document = box.add_document().id

    answer = await raw.get(
        f"/documents/{document}", headers={"Key-Inflection": "camel"}
    )

    (file,) = answer.json["data"]["attributes"]["files"]
    assert set(file) == {"filename", "url", "byteSize"}


@pytest.mark.asyncio
async def test_t26_an_authorization_header_is_refused_and_counted(box, raw):
    url = await url_of(raw, box.add_document().id)

    answer = await raw.send("GET", url, box.source.api_key)

    assert answer.status == 400
    assert box.log.authorizations_at_files == 1
    (entry,) = box.log.find("GET (file)")
    assert entry.credential == "authorization"
    assert box.source.api_key not in repr(list(box.log))


@pytest.mark.asyncio
async def test_t26_a_url_ends_after_six_hours_and_is_renewed_by_retrieving(box, raw):
    document = box.add_document().id
    url = await url_of(raw, document)
    box.advance(6 * HOUR - 1)
    alive = await raw.send("GET", url)
    box.advance(1)
    dead = await raw.send("GET", url)
    fresh = await raw.send("GET", await url_of(raw, document))

    assert (alive.status, dead.status, fresh.status) == (200, 403, 200)


@pytest.mark.asyncio
async def test_its_life_and_its_end_are_switches(box, raw):
    box.switches.file_lifetime = 60
    box.switches.expired_file_status = 404
    url = await url_of(raw, box.add_document().id)

    box.advance(60)

    assert (await raw.send("GET", url)).status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [403, 404])
async def test_another_access_token_does_not_open_it(box, raw, status):
    box.switches.foreign_file_status = status
    one, other = [await url_of(raw, box.add_document().id) for _ in range(2)]
    path, _, _ = one.partition("?")
    _, _, query = other.partition("?")

    for url in (f"{path}?{query}", path, f"{path}?access_token=x"):
        assert (await raw.send("GET", url)).status == status


@pytest.mark.asyncio
async def test_no_access_token_stands_in_the_log(box, raw):
    url = await url_of(raw, box.add_document().id)
    await raw.send("GET", url)

    token = url.partition("access_token=")[2]
    assert token not in repr(list(box.log))


@pytest.mark.asyncio
async def test_other_methods_and_hosts_are_refused(box, raw):
    url = await url_of(raw, box.add_document().id)

    posted = await raw.send("POST", url)
    rebound = await raw.send("GET", url, headers={"Host": "evil.example"})

    assert (posted.status, rebound.status) == (405, 421)


@pytest.mark.asyncio
async def test_a_fault_redirects(box, raw):
    url = await url_of(raw, box.add_document().id)
    box.faults.redirect("http://127.0.0.1:1/elsewhere")

    first = await raw.send("GET", url, allow_redirects=False)
    second = await raw.send("GET", url)

    assert (first.status, second.status) == (302, 200)
    assert first.headers["Location"] == "http://127.0.0.1:1/elsewhere"


@pytest.mark.asyncio
async def test_a_fault_sends_too_much_without_saying_so(box, raw):
    url = await url_of(raw, box.add_document(content=b"small").id)
    box.faults.oversize(300_000)

    answer = await raw.send("GET", url)

    assert len(answer.body) == 300_000
    assert "Content-Length" not in answer.headers


@pytest.mark.asyncio
async def test_a_fault_sends_too_little(box, raw):
    url = await url_of(raw, box.add_document().id)
    box.faults.truncate("GET (file)")

    with pytest.raises(aiohttp.ClientPayloadError):
        await raw.send("GET", url)


@pytest.mark.asyncio
async def test_a_fault_cuts_the_connection_or_answers_something_else(box, raw):
    url = await url_of(raw, box.add_document().id)
    box.faults.cut("GET (file)", times=2)  # a client tries once more by itself
    box.faults.answer("GET (file)", 503)

    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.send("GET", url)
    assert (await raw.send("GET", url)).status == 503
    assert (await raw.send("GET", url)).status == 200


@pytest.mark.asyncio
async def test_a_clone_has_files_of_its_own(box, raw):
    first = box.add_document().id
    second = box.add_document().id

    one, other = await url_of(raw, first), await url_of(raw, second)

    assert urlsplit(one).path != urlsplit(other).path
