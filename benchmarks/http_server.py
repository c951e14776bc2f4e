"""A server in its own process that responds at once, so that only the client is measured.

It responds to every GET with the same inquiry and to every POST with a token.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

from persona_share.sandbox import Sandbox


SCOPE = "inquiry.read:inq_ABCDEFGHIJKLMNOPQRSTUVWX"
ID = SCOPE.partition(":")[2]
HEADERS = """\
Content-Type: application/json; charset=utf-8
Date: Thu, 01 Jan 2026 00:00:00 GMT
Request-Id: req_ABCDEFGHIJKLMNOPQRSTUVWX
Persona-Organization-Id: org_ABCDEFGHIJKLMNOPQRSTUVWX
Persona-Environment-Id: env_ABCDEFGHIJKLMNOPQRSTUVWX
RateLimit-Limit: 100000
RateLimit-Remaining: 99000
RateLimit-Reset: 60
"""


def http_response(body: bytes) -> bytes:
    """Return the bytes of a complete response."""
    lines = ["HTTP/1.1 200 OK", *HEADERS.splitlines(), f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class CannedResponses(asyncio.Protocol):
    """One connection, which responds to each request in order."""

    def __init__(self, inquiry: bytes, token: bytes) -> None:
        self._inquiry = inquiry
        self._token = token
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond as soon as a request is complete."""
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self._transport.write(self._inquiry)
        else:
            size = int(head.lower().partition(b"content-length: ")[2].split()[0])
            if len(rest) < size:
                return
            self._transport.write(self._token)
        self._buffer = b""


async def inquiry() -> bytes:
    """Return the body of an inquiry of the sandbox, about 9 kB."""
    async with Sandbox() as sandbox:
        added = sandbox.add_inquiry()
        import aiohttp  # noqa: PLC0415 - of the server's process alone

        headers = {"Authorization": f"Bearer {sandbox.source.api_key}"}
        url = f"{sandbox.url}/inquiries/{added.id}"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(url) as response,
        ):
            body = await response.read()
    return body.replace(added.id.encode(), ID.encode())


async def serve() -> None:
    """Serve until the end of standard input; print the port first."""
    token = {
        "access-token": "persona_access_token_of_the_benchmark",
        "token-type": "bearer",
        "expires-in": 3599,
        "scope": SCOPE,
    }
    bodies = http_response(await inquiry()), http_response(json.dumps(token).encode())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: CannedResponses(*bodies), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Run the server and return its base URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.http_server"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(serve())
