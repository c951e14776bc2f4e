"""G14: a second listener never receives a byte."""

import asyncio
import itertools
import json

import aiohttp
import pytest
import pytest_asyncio

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.errors import (
    ExchangeProtocolError,
    InvalidArgumentError,
    MalformedResponseError,
    UnexpectedRedirectError,
)
from persona_share.testing import FakeClock, fake_runtime
from tests.faults.environment import AutojumpClock
from tests.servers import RawServer, http_response, respond_with


KEY = "CANARY-api-key"
CODE = "CANARY-code"
STATUSES = (300, 301, 302, 303, 304, 305, 306, 307, 308)
HEADERS = ("Location", "URI", "Content-Location", "Refresh", "Link", "Alt-Svc")
TARGETS = (
    "http://127.0.0.1:{port}/api/v1/inquiries/inq_1",
    "http://127.0.0.2:{port}/api/v1/inquiries/inq_1",
    "https://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/api/v1/inquiries",
    "http://user:word@127.0.0.1:{port}/",
)
LINKS = (
    *TARGETS,
    "http://127.0.0.1:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "//127.0.0.1:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "\\\\127.0.0.1:{port}\\api\\v1\\inquiries?page%5Bafter%5D=inq_1",
    "http:127.0.0.1:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "http://127.0.0.1:{own}@127.0.0.1:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "http://localhost:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "http://127.0.0.1.:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "http://[::ffff:127.0.0.1]:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
    "\thttp://127.0.0.1:{port}/api/v1/inquiries?page%5Bafter%5D=inq_1",
)
FILES = (
    "http://127.0.0.2:{port}/file",
    "https://files.withpersona.com@127.0.0.1:{port}/file",
    "https://files.withpersona.com:{port}/file",
    "https://files.withpersona.com.localhost:{port}/file",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/file",
)


@pytest_asyncio.fixture
async def other_server():
    """A listener on every loopback address that must not be reached."""

    async def take(reader, writer):
        server.visits += 1
        await reader.read(65536)
        writer.close()

    server = await asyncio.start_server(take, "0.0.0.0", 0)  # noqa: S104 — 127.0.0.2 too
    server.visits = 0
    server.port = server.sockets[0].getsockname()[1]
    async with server:
        yield server


def new_client(url, clock=None, **options):
    runtime = fake_runtime(clock or AutojumpClock())
    return PersonaClient(
        KEY, base_url=url, insecure_local=True, _runtime=runtime, **options
    )


def variants(templates, **places):
    return [each.format(**places) for each in templates]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", STATUSES)
async def test_no_redirect_is_followed(other_server, status):
    asked = 0
    for header, target in itertools.product(
        HEADERS, variants(TARGETS, port=other_server.port)
    ):
        moved = http_response(status, b"", [(header, target)])
        server = RawServer(respond_with(moved))
        async with server, new_client(server.api) as client:
            for operation in ("GET", "POST", "PATCH", "DELETE"):
                with pytest.raises(UnexpectedRedirectError):
                    await client.request(operation, "/inquiries/inq_1")
        assert KEY.encode() in server.received
        asked += server.received.count(b" HTTP/1.1\r\n")
    assert asked == 4 * len(HEADERS) * len(TARGETS)
    assert other_server.visits == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [302, 303, 307, 308])
async def test_code_is_not_sent_to_a_redirect_target(other_server, status):
    for target in variants(TARGETS, port=other_server.port):
        server = RawServer(
            respond_with(http_response(status, b"", [("Location", target)]))
        )
        async with (
            server,
            new_client(server.api, FakeClock()) as client,
            ScopedTokenManager(client) as manager,
        ):
            with pytest.raises(ExchangeProtocolError):
                await manager.exchange(CODE)
        assert server.received.count(CODE.encode()) == 1
    assert other_server.visits == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("link", LINKS)
async def test_page_links_to_other_origins_are_refused(other_server, link):
    [there] = variants([link], port=other_server.port, own=other_server.port + 1)
    item = {"type": "inquiry", "id": "inq_1", "attributes": {}}
    page = json.dumps({"data": [item], "links": {"next": there, "prev": there}})
    server = RawServer(respond_with(http_response(200, page.encode())))
    async with server, new_client(server.api) as client:
        with pytest.raises(MalformedResponseError):
            async for _ in client.inquiries.list():
                pass
    assert server.received.count(b"GET ") == 1
    assert other_server.visits == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("address", FILES)
async def test_file_is_only_fetched_from_allowed_hosts(other_server, address):
    [there] = variants([address], port=other_server.port)
    async with PersonaClient(KEY) as client:
        with pytest.raises(InvalidArgumentError):
            await client.files.download(there)
    assert other_server.visits == 0


@pytest.mark.asyncio
async def test_environment_variables_do_not_redirect_requests(
    other_server, monkeypatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, f"http://127.0.0.1:{other_server.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = RawServer(respond_with(http_response(200, b'{"data":null}')))
    async with server:
        async with new_client(server.api) as client:
            await client.request("GET", "/x")
        async with (
            aiohttp.ClientSession(trust_env=True) as theirs,
            new_client(server.api, http=theirs) as client,
        ):
            await client.request("POST", "/x", json={})
    assert server.received.count(f"Authorization: Bearer {KEY}".encode()) == 2
    assert b"thief" not in server.received
    assert other_server.visits == 0


def test_there_are_more_than_sixty_variants():
    redirects = len(STATUSES) * len(HEADERS) * len(TARGETS)
    assert redirects + len(LINKS) + len(FILES) >= 60
