"""Faulty servers on raw sockets of this machine."""

import asyncio
import socket
import struct
import zlib
from contextlib import asynccontextmanager

from persona_share._protocol.http import Request
from persona_share._protocol.urls import parse_base_url
from persona_share._transport.http import AiohttpSender
from persona_share.model.secret import MaskedText, Secret
from persona_share.testing import FakeClock


# Secrets that no output of the transport may contain.
TOKEN = "CANARY-token-5f2c"
KEY = "CANARY-key-91ab"
CODE = "CANARY-code-77de"
CANARIES = (TOKEN, KEY, CODE)


class RawServer:
    """A TCP server with one coroutine per connection."""

    def __init__(self, handler, *, tls=None, remembers=True):
        self._handler = handler
        self._tls = tls
        self._remembers = remembers
        self._tasks = set()
        self._reached = asyncio.Event()
        self.received = b""
        self.connections = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", 0, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.api = f"{self.url}/api/v1"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reached(self):
        """Return when the first request has arrived completely."""
        await self._reached.wait()

    def remember(self, data):
        if self._remembers:
            self.received += data

    async def _connected(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._handler(Connection(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


class Connection:
    """One connection, as a handler sees it."""

    def __init__(self, server, reader, writer):
        self._server = server
        self._reader = reader
        self._writer = writer

    async def request(self):
        """Read one whole request, and record it."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._server.remember(head)
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
                self._server.remember(await self._reader.readexactly(size))
        self._server._reached.set()
        return head

    async def read_byte(self):
        """Read one byte."""
        return await self._reader.read(1)

    async def end(self):
        """Wait until the client has closed the connection."""
        while await self._reader.read(65536):
            pass

    async def head(self):
        """Read the head of a request, and leave its body unread."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def wait_closed(self):
        """Wait until the client has closed the connection."""
        await self._reader.read()

    def reset(self):
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


# ── Handlers ────────────────────────────────────────────────────────────────────


def http_response(status=200, body=b"{}", headers=(), content_type="application/json"):
    """Return the bytes of a well-formed response."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def respond_with(*responses):
    """Respond to each request with the next response, and repeat the last one."""
    left = list(responses)

    async def serve(connection):
        while True:
            await connection.request()
            await connection.send(left.pop(0) if len(left) > 1 else left[0])

    return serve


def send_and_close(data):
    """Send these bytes and close, even if the response is incomplete."""

    async def serve(connection):
        await connection.request()
        await connection.send(data)

    return serve


async def reset_on_connect(connection):
    connection.reset()


async def reset_after_request(connection):
    await connection.request()
    connection.reset()


async def reset_in_body(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    connection.reset()


async def close_after_request(connection):
    await connection.request()


async def never_respond(connection):
    await connection.request()
    await asyncio.Event().wait()


async def stall_in_body(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    await asyncio.Event().wait()


def drip_bytes(pause):
    """Send single bytes forever."""

    async def serve(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while True:
            await connection.send(b" ")
            # Real time, as a real socket has no clock to advance.
            await asyncio.sleep(pause)  # noqa: TID251

    return serve


def decompression_bomb(megabytes):
    """Send this many MiB of zeros, compressed on the fly."""

    async def serve(connection):
        await connection.request()
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        head += "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        await connection.send(head.encode())
        zipper = zlib.compressobj(9, wbits=31)
        zeros = bytes(1024 * 1024)
        for _ in range(megabytes):
            piece = zipper.compress(zeros) + zipper.flush(zlib.Z_SYNC_FLUSH)
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        piece = zipper.flush()
        await connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(piece), piece))

    return serve


async def endless_body(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        await connection.send(b" " * 65536)


# ── Requests and senders ─────────────────────────────────────────────────────────


def new_request(method="GET", path="/inquiries/inq_1", *, seconds=60.0, **fields):
    """Create a request that contains the canaries."""
    if method == "POST":
        fields.setdefault("body", f"code={CODE}".encode())
        fields.setdefault("content_type", "application/x-www-form-urlencoded")
        fields.setdefault("idempotency_key", Secret(KEY))
    fields.setdefault("authorization", MaskedText(f"Bearer {TOKEN}"))
    return Request(
        method=method,
        route="/inquiries/{inquiry-id}",
        target=path,
        deadline=FakeClock().now() + seconds,
        **fields,
    )


@asynccontextmanager
async def sender_to(url, **options):
    """Open a sender to a server of this machine."""
    address = parse_base_url(f"{url}/api/v1", insecure_local=True)
    sender = AiohttpSender(address, now=FakeClock().now, **options)
    await sender.open()
    try:
        yield sender
    finally:
        await sender.close()
