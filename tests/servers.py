"""Servers that misbehave on purpose, on raw sockets of this machine."""

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


# Nothing that comes out of the transport may hold one of these.
TOKEN = "CANARY-token-5f2c"
KEY = "CANARY-key-91ab"
CODE = "CANARY-code-77de"
CANARIES = (TOKEN, KEY, CODE)


class RawServer:
    """A TCP server with one coroutine per connection."""

    def __init__(self, behaviour, *, tls=None, remembers=True):
        self._behaviour = behaviour
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
            await self._behaviour(Connection(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


class Connection:
    """One connection, as a behaviour sees it."""

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

    async def anything(self):
        """Read whatever comes first."""
        return await self._reader.read(1)

    async def end(self):
        """Return when the other side has closed the connection."""
        while await self._reader.read(65536):
            pass

    async def head(self):
        """Read the head of a request, and leave its body where it is."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def gone(self):
        """Wait until the other side has closed."""
        await self._reader.read()

    def reset(self):
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


# ── Behaviours ──────────────────────────────────────────────────────────────────


def answer(status=200, body=b"{}", headers=(), content_type="application/json"):
    """Make the bytes of a well-formed answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*answers):
    """Respond to each request with the next response, and repeat the last one."""
    left = list(answers)

    async def behave(connection):
        while True:
            await connection.request()
            await connection.send(left.pop(0) if len(left) > 1 else left[0])

    return behave


def ending_with(data):
    """Return with these bytes and close, whatever is missing."""

    async def behave(connection):
        await connection.request()
        await connection.send(data)

    return behave


async def reset_at_once(connection):
    connection.reset()


async def reset_after_request(connection):
    await connection.request()
    connection.reset()


async def reset_in_the_body(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    connection.reset()


async def close_after_request(connection):
    await connection.request()


async def silence(connection):
    await connection.request()
    await asyncio.Event().wait()


async def stalling_body(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    await asyncio.Event().wait()


def dripping(pause):
    """Send single bytes forever."""

    async def behave(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while True:
            await connection.send(b" ")
            # A real socket's pace: there is no clock here that could be moved.
            await asyncio.sleep(pause)  # noqa: TID251

    return behave


def bomb(megabytes):
    """Return with that many MiB of zeros, compressed while they are sent."""

    async def behave(connection):
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

    return behave


async def endless_body(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        await connection.send(b" " * 65536)


# ── The sender in front of them ─────────────────────────────────────────────────


def a_request(method="GET", path="/inquiries/inq_1", *, seconds=60.0, **fields):
    """Create a request with all canaries that fit."""
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
