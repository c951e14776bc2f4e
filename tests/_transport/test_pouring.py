"""Streaming a body into a sink, over a real socket."""

import gzip
import json

import pytest

from persona_share.client import PersonaClient
from persona_share.errors import (
    ConnectionLostError,
    InvalidArgumentError,
    ResponseTooLargeError,
    TransportError,
    UnexpectedRedirectError,
)
from tests.servers import RawServer, answer, answering, ending_with


PLAIN = b"0123456789" * 20_000


def client_of(server, **options):
    return PersonaClient(
        "CANARY-key", base_url=server.api, insecure_local=True, retry=None, **options
    )


def file_answer(body, *headers, status=200):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.asyncio
async def test_t26_a_file_comes_over_a_socket_without_a_credential(tmp_path):
    async with (
        RawServer(answering(answer())) as api,
        RawServer(answering(file_answer(PLAIN))) as host,
        client_of(api) as client,
    ):
        url = f"{host.url}/a.png?access_token=t"
        place = await client.files.download(url).save(tmp_path / "a.png")

        assert place.read_bytes() == PLAIN
        head = host.received.decode().partition("\r\n\r\n")[0].lower()
        assert head.startswith("get /a.png?access_token=t http/1.1")
        assert "authorization" not in head
        assert "CANARY-key" not in head
        assert api.received == b""


@pytest.mark.asyncio
async def test_a_compressed_file_is_unpacked_on_its_way():
    packed = gzip.compress(PLAIN)
    served = answering(file_answer(packed, "Content-Encoding: gzip"))
    async with RawServer(served) as host, client_of(host) as client:
        assert await client.files.download(f"{host.url}/a") == PLAIN


@pytest.mark.asyncio
async def test_t18_a_file_over_its_cap_is_refused_and_leaves_nothing(tmp_path):
    served = answering(file_answer(PLAIN))
    async with RawServer(served) as host, client_of(host) as client:
        download = client.files.download(f"{host.url}/a", max_bytes=1_000)

        with pytest.raises(ResponseTooLargeError):
            await download.save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_f16_half_a_file_is_no_file(tmp_path):
    half = file_answer(PLAIN)[:50_000]
    async with RawServer(ending_with(half)) as host, client_of(host) as client:
        with pytest.raises(TransportError):
            await client.files.download(f"{host.url}/a", retries=0).save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_disk_error_is_not_retried(tmp_path):
    def refuse(done, total):
        raise OSError(28, "No space left on device")

    served = answering(file_answer(PLAIN))
    async with RawServer(served) as host, client_of(host) as client:
        with pytest.raises(OSError, match="No space left"):
            await client.files.download(f"{host.url}/a").save(
                tmp_path / "a", progress=refuse
            )
        assert host.connections == 1


@pytest.mark.asyncio
async def test_t26_a_redirect_of_the_host_of_files_is_not_followed():
    away = file_answer(b"", "Location: http://127.0.0.1:9/a", status=302)
    async with RawServer(answering(away)) as host, client_of(host) as client:
        with pytest.raises(UnexpectedRedirectError):
            await client.files.download(f"{host.url}/a")


@pytest.mark.asyncio
async def test_t26_a_host_that_was_not_allowed_hears_nothing():
    async with RawServer(answering(answer())) as server:
        async with client_of(server) as client:
            with pytest.raises(InvalidArgumentError):
                await client.files.download("https://localhost.example/a")
        assert server.connections == 0


@pytest.mark.asyncio
async def test_a_print_is_poured_with_its_credential():
    served = answering(file_answer(b"%PDF-1.7", "Content-Type: application/pdf"))
    async with RawServer(served) as server, client_of(server) as client:
        pieces = [each async for each in client.inquiries.print("inq_1")]

        assert b"".join(pieces) == b"%PDF-1.7"
        assert b"Authorization: Bearer CANARY-key" in server.received


@pytest.mark.asyncio
async def test_pieces_that_were_handed_over_are_not_taken_back():
    half = file_answer(PLAIN)[:150_000]
    async with RawServer(ending_with(half)) as host, client_of(host) as client:
        with pytest.raises((ConnectionLostError, TransportError)):
            _ = [each async for each in client.files.download(f"{host.url}/a")]


@pytest.mark.asyncio
async def test_f75_a_listing_that_is_left_half_way_leaves_nothing_open():
    page = json.dumps(
        {
            "data": [{"type": "inquiry", "id": f"inq_{n}"} for n in range(3)],
            "links": {"next": "/api/v1/inquiries?page%5Bafter%5D=inq_2"},
        }
    ).encode()
    served = answering(file_answer(page, "Content-Type: application/json"))
    async with RawServer(served) as server, client_of(server) as client:
        async for each in client.inquiries.list():
            assert each.id == "inq_0"
            break

        # Its connection is free, and the one that the next call uses.
        assert (await client.inquiries.list()).items[0].id == "inq_0"
        assert server.connections == 1
