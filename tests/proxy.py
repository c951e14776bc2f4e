"""A proxy that breaks connections on purpose: the toxics of Toxiproxy, and one more.

It stands between a client and a server of this machine and passes bytes on in both
directions. Every toxic is an attribute that may be set at any time. It works on real
sockets, so its times are real and have to be short.
"""

import asyncio
import socket
import struct
from contextlib import suppress


PIECE = 64 * 1024
_GONE = (ConnectionError, asyncio.IncompleteReadError, OSError)


class Proxy:
    """Passes on to a port of this machine, as long as no toxic is set."""

    def __init__(self, port):
        self._upstream = port
        self._links = set()
        self._server = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.accepted = 0
        # Seconds by which every piece comes late, and by how much that varies.
        self.latency = self.jitter = 0.0
        # Bytes a second in each direction.
        self.bandwidth = None
        # Seconds by which the end of a connection comes late.
        self.slow_close = 0.0
        # Nothing passes, and the connection ends after so many seconds.
        self.timeout = None
        # The connection is reset so many seconds after it began.
        self.reset_peer = None
        # Pieces of this size, with so many seconds between them.
        self.slicer = None
        # The connection ends after so many bytes of the server's.
        self.limit_data = None
        # This many responses are dropped and their connections reset.
        self.lose_responses = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1"

    async def __aenter__(self):
        await self.up()
        return self

    async def __aexit__(self, *_):
        await self.down()

    async def up(self):
        """Listen, on the same port as ever."""
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self):
        """Refuse connections, and break those that there are."""
        self._server.close()
        links = tuple(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def stop(self):
        """Let nothing pass until `go`; what is under way stays where it is."""
        self._flowing.clear()

    def go(self):
        self._flowing.set()

    def clear(self):
        """Take every toxic away."""
        self.latency = self.jitter = self.slow_close = 0.0
        self.bandwidth = self.timeout = self.reset_peer = None
        self.slicer = self.limit_data = None
        self.lose_responses = 0
        self.go()

    async def _accepted(self, reader, writer):
        self.accepted += 1
        link = asyncio.current_task()
        self._links.add(link)
        try:
            await self._link(reader, writer)
        except (*_GONE, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            writer.transport.abort()

    async def _link(self, reader, writer):
        if self.timeout is not None:
            await _pause(self.timeout)
            return
        server_reader, server_writer = await asyncio.open_connection(
            "127.0.0.1", self._upstream
        )
        try:
            async with asyncio.timeout(self.reset_peer):
                await asyncio.gather(
                    self._pump(reader, server_writer),
                    self._pump(server_reader, writer, is_response=True),
                )
        except TimeoutError:
            _reset(writer)
        finally:
            server_writer.transport.abort()

    async def _pump(self, reader, writer, *, is_response=False):
        left = self.limit_data if is_response else None
        while piece := await reader.read(self.slicer[0] if self.slicer else PIECE):
            await self._flowing.wait()
            if is_response and self.lose_responses:  # the server has acted
                self.lose_responses -= 1
                _reset(writer)
                break
            await self._delay(len(piece))
            writer.write(piece[:left])
            await writer.drain()
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    break
        await _pause(self.slow_close)
        with suppress(*_GONE):
            writer.close()

    async def _delay(self, size):
        # Not random: the pieces stay in order.
        pause = self.latency + self.jitter * (size % 3 - 1)
        if self.bandwidth:
            pause += size / self.bandwidth
        if self.slicer:
            pause += self.slicer[1]
        await _pause(pause)


async def _pause(seconds):
    # A real socket's pace: there is no clock here that could be moved.
    if seconds > 0:
        await asyncio.sleep(seconds)  # noqa: TID251


def _reset(writer):
    linger = struct.pack("ii", 1, 0)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
