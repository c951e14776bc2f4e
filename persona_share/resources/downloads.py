"""A download: awaited it is bytes, iterated it is pieces, saved it is a new file."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from persona_share._protocol.http import Response, Sink
from persona_share._protocol.redaction import escaped
from persona_share.errors import (
    ConnectionLostError,
    InvalidArgumentError,
    PersonaError,
    UnexpectedContentTypeError,
)
from persona_share.ports import FileAccess, NewFile


#: No file of the service is larger (T18).
MOST_BYTES: Final = 100 * 1024 * 1024

Progress = Callable[[int, int | None], object]
Fetch = Callable[[Sink], Awaitable[None]]


class Download:
    """A body that was not asked for yet.

    ``await`` it for its bytes; ``async for`` goes over pieces of it as they come;
    `save` writes it to a new file. Each of them asks for it anew.
    """

    def __init__(
        self,
        fetch: Fetch,
        file_access: FileAccess | None,
        *,
        max_bytes: int = MOST_BYTES,
        kind: str | None = None,
    ) -> None:
        self._fetch = fetch
        self._file_access = file_access
        self._terms = _Terms(max_bytes, kind)

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._whole().__await__()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sink = _Pieces(self._terms)
        task = asyncio.create_task(self._hand_over(sink))
        try:
            while (piece := await sink.queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def save(self, path: str | Path, *, progress: Progress | None = None) -> Path:
        """Write it to a file that must not exist yet, readable by its owner alone.

        ``progress`` is told the bytes so far, and how many there will be where the
        service says so. Nothing is left behind if it fails. Raises `FileExistsError`.
        """
        if self._file_access is None:
            message = "this client writes no files"
            raise InvalidArgumentError(message)
        file = await self._file_access.new_file(path)
        done = False
        try:
            await self._run(_ToFile(self._terms, file, progress))
            done = True
        finally:
            file.close(keep=done)
        return file.path

    async def into(self, sink: Sink) -> None:
        """Fetch it into a sink of somebody else's."""
        await self._fetch(sink)

    async def _whole(self) -> bytes:
        sink = _InMemory(self._terms)
        await self._run(sink)
        return b"".join(sink.pieces)

    async def _run(self, sink: "_Sink") -> None:
        """Fetch into a sink; what the sink itself raised is what went wrong."""
        failure: BaseException | None = None
        try:
            await self._fetch(sink)
        except PersonaError as error:
            failure = error
        if sink.failure is not None:
            failure = sink.failure
        if failure is not None:
            raise failure

    async def _hand_over(self, sink: "_Pieces") -> None:
        end = None
        try:
            await self._run(sink)
        except Exception as failure:  # noqa: BLE001 — it is raised where the pieces go
            end = failure
        await sink.queue.put(end)

    def __repr__(self) -> str:
        return "<Download>"


async def poured(response: Response, sink: Sink) -> None:
    """Give a sink the body that a sender answered as a whole, not knowing of sinks."""
    if response.body:
        await sink.begin(response.headers)
        await sink.write(response.body)


@attrs.frozen
class _Terms:
    """How much is taken, and of which content type."""

    cap: int
    kind: str | None


class _Sink:
    """A sink that remembers what it raised, and tells how far it is."""

    def __init__(self, terms: _Terms, progress: Progress | None = None) -> None:
        self.cap = terms.cap
        self._kind = terms.kind
        self.failure: Exception | None = None
        self._progress = progress
        self._total: int | None = None
        self._taken = 0

    async def begin(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "")
        plain = not headers.get("content-encoding")
        self._total = int(length) if plain and length.isdecimal() else None
        self._taken = 0
        await self._guarded(self._checked(headers.get("content-type", "")))
        await self._guarded(self._restart())

    async def write(self, piece: bytes) -> None:
        if not piece:
            return
        await self._guarded(self._took(piece))

    async def _checked(self, content_type: str) -> None:
        essence = content_type.partition(";")[0].strip().lower()
        if self._kind is not None and essence != self._kind:
            message = f"the body is {escaped(essence, 100) or 'unnamed'}, not PDF"
            raise UnexpectedContentTypeError(message)

    async def _took(self, piece: bytes) -> None:
        await self._take(piece)
        self._taken += len(piece)
        if self._progress is not None:
            self._progress(self._taken, self._total)

    async def _guarded(self, step: Awaitable[None]) -> None:
        try:
            await step
        except Exception as failure:
            self.failure = failure
            raise

    async def _restart(self) -> None:
        raise NotImplementedError

    async def _take(self, piece: bytes) -> None:
        raise NotImplementedError


class _InMemory(_Sink):
    """Keeps the pieces."""

    def __init__(self, terms: _Terms) -> None:
        super().__init__(terms)
        self.pieces: list[bytes] = []

    async def _restart(self) -> None:
        self.pieces.clear()

    async def _take(self, piece: bytes) -> None:
        self.pieces.append(piece)


class _ToFile(_Sink):
    """Writes the pieces to a file."""

    def __init__(self, terms: _Terms, file: NewFile, progress: Progress | None) -> None:
        super().__init__(terms, progress)
        self._file = file

    async def _restart(self) -> None:
        await self._file.restart()

    async def _take(self, piece: bytes) -> None:
        await self._file.write(piece)


class _Pieces(_Sink):
    """Hands over one piece after the other, and waits until each was wanted."""

    def __init__(self, terms: _Terms) -> None:
        super().__init__(terms)
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(maxsize=1)
        self._handed_over = False

    async def _restart(self) -> None:
        if self._handed_over:  # and nobody can take that back
            message = "the connection broke after pieces of the file were handed over"
            raise ConnectionLostError(
                message,
                advice="Start again, or save() it, which begins anew by itself.",
            )

    async def _take(self, piece: bytes) -> None:
        self._handed_over = True
        await self.queue.put(piece)
