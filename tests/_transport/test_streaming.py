"""Streaming a body into a sink, over a real socket."""

import gzip
import json

import pytest

from persona_share.client import PersonaClient
from persona_share.errors import (
    ConnectionLostError,
    InvalidArgumentError,
    ProtocolError,
    ResponseTooLargeError,
    TransportError,
    UnexpectedRedirectError,
)
from persona_share.model.policy import Timeouts
from tests.servers import (
    RawServer,
    http_response,
    never_respond,
    respond_with,
    send_and_close,
)


PLAIN = b"0123456789" * 20_000


def client_of(server, **options):
    return PersonaClient(
        "CANARY-key", base_url=server.api, insecure_local=True, retry=None, **options
    )


def file_response(body, *headers, status=200):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.asyncio
async def test_file_is_downloaded_without_a_credential(tmp_path):
    async with (
        RawServer(respond_with(http_response())) as api,
        RawServer(respond_with(file_response(PLAIN))) as host,
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
async def test_compressed_file_is_decompressed_while_streaming():
    packed = gzip.compress(PLAIN)
    served = respond_with(file_response(packed, "Content-Encoding: gzip"))
    async with RawServer(served) as host, client_of(host) as client:
        assert await client.files.download(f"{host.url}/a") == PLAIN


@pytest.mark.asyncio
async def test_file_over_its_cap_is_refused_and_leaves_nothing(tmp_path):
    served = respond_with(file_response(PLAIN))
    async with RawServer(served) as host, client_of(host) as client:
        download = client.files.download(f"{host.url}/a", max_bytes=1_000)

        with pytest.raises(ResponseTooLargeError):
            await download.save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_f16_half_a_file_is_no_file(tmp_path):
    half = file_response(PLAIN)[:50_000]
    async with RawServer(send_and_close(half)) as host, client_of(host) as client:
        with pytest.raises(TransportError):
            await client.files.download(f"{host.url}/a", retries=0).save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_f16_body_without_a_length_is_incomplete_if_its_connection_was_reset(
    tmp_path,
):
    async def serve(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\nhalf")
        connection.reset()

    async with RawServer(serve) as host, client_of(host) as client:
        with pytest.raises(ProtocolError, match="incomplete"):
            await client.files.download(f"{host.url}/a").save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_body_without_a_length_is_complete_if_its_connection_was_closed():
    served = send_and_close(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\nwhole")
    async with RawServer(served) as host, client_of(host) as client:
        assert await client.files.download(f"{host.url}/a") == b"whole"


@pytest.mark.asyncio
async def test_f16_part_of_a_file_is_accepted_only_if_it_was_requested(tmp_path):
    served = respond_with(file_response(b"half", status=206))
    async with RawServer(served) as host, client_of(host) as client:
        download = client.files.download(f"{host.url}/a")
        with pytest.raises(ProtocolError, match="incomplete"):
            await download.save(tmp_path / "a")
        asked = {"Range": "bytes=0-3"}
        assert await client.files.download(f"{host.url}/a", headers=asked) == b"half"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_disk_error_is_not_retried(tmp_path):
    def refuse(done, total):
        raise OSError(28, "No space left on device")

    served = respond_with(file_response(PLAIN))
    async with RawServer(served) as host, client_of(host) as client:
        with pytest.raises(OSError, match="No space left"):
            await client.files.download(f"{host.url}/a").save(
                tmp_path / "a", progress=refuse
            )
        assert host.connections == 1


@pytest.mark.asyncio
async def test_download_has_the_time_limits_and_the_user_agent_of_its_client():
    options = {
        "timeouts": Timeouts(connect=0.19, read=0.2, attempt=0.5),
        "app_info": "shop/1.2",
    }
    async with RawServer(never_respond) as host, client_of(host, **options) as client:
        with pytest.raises(ConnectionLostError, match="stopped sending"):
            await client.files.download(f"{host.url}/a", retries=0, timeout=20)
        assert b" shop/1.2\r\n" in host.received


@pytest.mark.asyncio
async def test_redirect_of_the_host_of_files_is_not_followed():
    away = file_response(b"", "Location: http://127.0.0.1:9/a", status=302)
    async with RawServer(respond_with(away)) as host, client_of(host) as client:
        with pytest.raises(UnexpectedRedirectError):
            await client.files.download(f"{host.url}/a")


@pytest.mark.asyncio
async def test_disallowed_host_receives_nothing():
    async with RawServer(respond_with(http_response())) as server:
        async with client_of(server) as client:
            with pytest.raises(InvalidArgumentError):
                await client.files.download("https://localhost.example/a")
        assert server.connections == 0


@pytest.mark.asyncio
async def test_pdf_is_streamed_with_its_credential():
    served = respond_with(file_response(b"%PDF-1.7", "Content-Type: application/pdf"))
    async with RawServer(served) as server, client_of(server) as client:
        pieces = [each async for each in client.inquiries.print("inq_1")]

        assert b"".join(pieces) == b"%PDF-1.7"
        assert b"Authorization: Bearer CANARY-key" in server.received


@pytest.mark.asyncio
async def test_chunks_already_written_are_not_retried():
    half = file_response(PLAIN)[:150_000]
    async with RawServer(send_and_close(half)) as host, client_of(host) as client:
        with pytest.raises((ConnectionLostError, TransportError)):
            _ = [each async for each in client.files.download(f"{host.url}/a")]


@pytest.mark.asyncio
async def test_f75_abandoned_listing_leaves_nothing_open():
    page = json.dumps(
        {
            "data": [{"type": "inquiry", "id": f"inq_{n}"} for n in range(3)],
            "links": {"next": "/api/v1/inquiries?page%5Bafter%5D=inq_2"},
        }
    ).encode()
    served = respond_with(file_response(page, "Content-Type: application/json"))
    async with RawServer(served) as server, client_of(server) as client:
        async for each in client.inquiries.list():
            assert each.id == "inq_0"
            break

        # Its connection is free, and the one that the next call uses.
        assert (await client.inquiries.list()).items[0].id == "inq_0"
        assert server.connections == 1
