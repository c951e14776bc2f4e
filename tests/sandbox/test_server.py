"""The socket is safe to leave open: T22 and F146."""

import asyncio
import resource
import sys
from io import BytesIO

import aiohttp
import pytest

from persona_share.errors import ConfigurationError
from persona_share.sandbox import Sandbox
from tests.sandbox.raw import Raw


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
async def test_t22_it_listens_on_loopback(host):
    async with Sandbox(host=host) as box, aiohttp.ClientSession() as session:
        assert (await Raw(session, box).get("/rate-limits")).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
async def test_t22_another_address_has_to_be_asked_for(host):
    with pytest.raises(ConfigurationError, match="listen_anywhere"):
        Sandbox(host=host)


@pytest.mark.asyncio
async def test_t22_listening_anywhere_is_possible():
    anywhere = Sandbox(host="0.0.0.0", listen_anywhere=True)  # noqa: S104
    async with anywhere as box, aiohttp.ClientSession() as session:
        raw = Raw(session, box)

        assert box.url.startswith("http://127.0.0.1:")
        assert (await raw.get("/rate-limits")).status == 200
        for host, status in (("10.1.2.3", 200), ("evil.example", 421)):
            answer = await raw.get("/rate-limits", headers={"Host": host})
            assert answer.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "10.0.0.1", ""])
async def test_t22_f146_a_rebound_name_is_misdirected(raw, host):
    answer = await raw.get("/rate-limits", headers={"Host": host})

    assert answer.status == 421
    assert answer.headers["Persona-Sandbox"] == "persona_share"


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["localhost", "127.0.0.2:1", "[::1]:8080"])
async def test_t22_every_name_of_this_machine_is_served(raw, host):
    answer = await raw.get("/rate-limits", headers={"Host": host})

    assert answer.status == 200


@pytest.mark.asyncio
async def test_t22_a_real_key_is_refused(raw):
    answer = await raw.get("/rate-limits", "persona_production_abc")

    assert answer.status == 401
    assert "real key" in answer.error["title"]


@pytest.mark.asyncio
async def test_t22_each_answer_carries_the_banner_and_none_allows_other_origins(raw):
    origin = {"Origin": "https://evil.example"}
    answers = [
        await raw.get("/rate-limits", headers=origin),
        await raw.get("/nowhere", headers=origin),
        await raw.send("OPTIONS", "/rate-limits", headers=origin),
    ]

    for answer in answers:
        assert answer.headers["Persona-Sandbox"] == "persona_share"
        assert not [n for n in answer.headers if n.startswith("Access-Control")]


@pytest.mark.asyncio
async def test_f146_a_taken_port_is_a_clear_error(box):
    port = int(box.url.split(":")[2].partition("/")[0])

    with pytest.raises(ConfigurationError, match=f"port {port} .* is taken"):
        await Sandbox(port=port).__aenter__()


@pytest.mark.asyncio
async def test_f146_a_body_over_a_mebibyte_is_too_large(box, raw):
    key, path = box.source.api_key, "/oauth/authorize"

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
async def test_f146_a_thousand_idle_connections_lock_nobody_out():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = hard if hard != resource.RLIM_INFINITY else 8192
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, room), hard))
    program = (
        "import asyncio\n"
        "from persona_share.sandbox import serve\n"
        "def ready(box): print(box.url, box.source.api_key, flush=True)\n"
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
            async with session.get(f"{url}/rate-limits", headers=headers) as answer:
                assert answer.status == 200
        closed = sum(reader.at_eof() for reader in readers)
        assert 100 <= closed <= 300
    finally:
        for writer in writers:
            writer.transport.abort()
        server.kill()
        await server.wait()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.asyncio
async def test_bytes_that_are_no_http_end_their_connection_only(box, raw, caplog):
    port = int(box.url.split(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01 secret-canary\r\n\r\n")

    answer = await reader.read()
    writer.close()

    assert b" 400 " in answer.partition(b"\r\n")[0]
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
async def test_what_is_no_operation_is_refused(box, raw, method, path, status):
    answer = await raw.send(method, path, box.source.api_key)

    assert answer.status == status
    assert box.log[-1].operation == f"{method} (unknown)"
