"""Listening addresses, Host headers, and requests that are refused."""

import asyncio
import resource
import sys
from io import BytesIO

import aiohttp
import pytest

from persona_share.errors import ConfigurationError
from persona_share.sandbox import Sandbox
from persona_share.sandbox.hosts import Access, is_loopback, origin
from tests.sandbox.raw import RawClient


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
    ],
)
def test_url_of_an_address_reaches_it(host, url):
    assert origin(host, 80) == url


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.1.2.3", "::1"])
def test_loopback_addresses_are_recognized(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1.evil.example", "localhost.evil", "", "::"])
def test_other_addresses_are_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("access", "header", "allowed"),
    [
        (Access(anywhere=True), None, False),
        (Access(), "127.0.0.1:80", True),
        (Access(), "192.0.2.1:80", False),
        (Access(anywhere=True), "192.0.2.1:80", True),
        (Access(anywhere=True), "other.example", False),
        (Access(anywhere=True, public_host="sandbox"), "SANDBOX:8080", True),
        (Access(anywhere=True, public_host="sandbox"), "sandbox.evil", False),
    ],
)
def test_host_header_is_accepted_when_it_names_the_sandbox(access, header, allowed):
    assert access.allows(header) is allowed


def test_origin_has_the_public_host():
    assert Access(public_host="sandbox").origin("0.0.0.0", 80) == "http://sandbox:80"  # noqa: S104


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
async def test_sandbox_listens_on_loopback(host):
    async with Sandbox(host=host) as sandbox, aiohttp.ClientSession() as session:
        assert (await RawClient(session, sandbox).get("/rate-limits")).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
async def test_other_address_requires_listen_anywhere(host):
    with pytest.raises(ConfigurationError, match="listen_anywhere"):
        Sandbox(host=host)


@pytest.mark.asyncio
async def test_listening_on_all_addresses_is_possible():
    anywhere = Sandbox(host="0.0.0.0", listen_anywhere=True)  # noqa: S104
    async with anywhere as sandbox, aiohttp.ClientSession() as session:
        raw = RawClient(session, sandbox)

        assert sandbox.url.startswith("http://127.0.0.1:")
        assert (await raw.get("/rate-limits")).status == 200
        for host, status in (("10.1.2.3", 200), ("evil.example", 421)):
            response = await raw.get("/rate-limits", headers={"Host": host})
            assert response.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "10.0.0.1", ""])
async def test_f146_rebound_name_is_misdirected(raw, host):
    response = await raw.get("/rate-limits", headers={"Host": host})

    assert response.status == 421
    assert response.headers["Persona-Sandbox"] == "persona_share"


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["localhost", "127.0.0.2:1", "[::1]:8080"])
async def test_every_name_of_this_machine_is_served(raw, host):
    response = await raw.get("/rate-limits", headers={"Host": host})

    assert response.status == 200


@pytest.mark.asyncio
async def test_production_key_is_refused(raw):
    response = await raw.get("/rate-limits", "persona_production_abc")

    assert response.status == 401
    assert "real key" in response.error["title"]


@pytest.mark.asyncio
async def test_each_response_has_the_sandbox_header_and_allows_no_other_origin(raw):
    origin = {"Origin": "https://evil.example"}
    responses = [
        await raw.get("/rate-limits", headers=origin),
        await raw.get("/nowhere", headers=origin),
        await raw.send("OPTIONS", "/rate-limits", headers=origin),
    ]

    for response in responses:
        assert response.headers["Persona-Sandbox"] == "persona_share"
        assert not [n for n in response.headers if n.startswith("Access-Control")]


@pytest.mark.asyncio
async def test_f146_taken_port_is_a_clear_error(sandbox):
    port = int(sandbox.url.split(":")[2].partition("/")[0])

    with pytest.raises(ConfigurationError, match=f"port {port} .* is in use"):
        await Sandbox(port=port).__aenter__()


@pytest.mark.asyncio
async def test_f146_body_over_a_mebibyte_is_too_large(sandbox, raw):
    key, path = sandbox.source.api_key, "/oauth/authorize"

    async def chunks():
        for _ in range(20):
            yield b"x" * 65_536

    announced = await raw.send("POST", path, key, data=BytesIO(b"x" * 1_048_577))
    streamed = await raw.send("POST", path, key, data=chunks())
    within = await raw.send("POST", path, key, data=BytesIO(b"x" * 1_048_576))

    assert (announced.status, streamed.status, within.status) == (413, 413, 400)
    assert announced.headers["Persona-Sandbox"] == "persona_share"


@pytest.mark.slow
@pytest.mark.asyncio
async def test_f146_thousand_idle_connections_block_no_request():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY else 8192
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, limit), hard))
    program = (
        "import asyncio\n"
        "from persona_share.sandbox import serve\n"
        "def ready(sandbox): print(sandbox.url, sandbox.source.api_key, flush=True)\n"
        "asyncio.run(serve(ready))\n"
    )
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    readers, writers = [], []
    try:
        url, key = (await server.stdout.readline()).decode().split()
        port = int(url.split(":")[2].partition("/")[0])
        for _ in range(1000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            readers.append(reader)
            writers.append(writer)
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get(f"{url}/rate-limits", headers=headers) as response:
                assert response.status == 200
        closed = sum(reader.at_eof() for reader in readers)
        assert 100 <= closed <= 300
    finally:
        for writer in writers:
            writer.transport.abort()
        server.kill()
        await server.wait()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.asyncio
async def test_bytes_that_are_not_http_close_only_their_connection(
    sandbox, raw, caplog
):
    port = int(sandbox.url.split(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01 secret-canary\r\n\r\n")

    response = await reader.read()
    writer.close()

    assert b" 400 " in response.partition(b"\r\n")[0]
    assert "canary" not in caplog.text
    assert (await raw.get("/rate-limits")).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/inquiries", 405),
        ("DELETE", "/connect/share-tokens/cnst_1", 405),
        ("POST", "/inquiries/inq_1/print", 405),
        ("POST", "/nowhere", 404),
        ("GET", "/inquiries/inq_1/nowhere", 404),
    ],
)
async def test_unknown_operations_are_refused(sandbox, raw, method, path, status):
    response = await raw.send(method, path, sandbox.source.api_key)

    assert response.status == status
    assert sandbox.log[-1].operation == f"{method} (unknown)"
