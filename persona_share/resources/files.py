"""Downloads, and the files of objects, which are on a separate host."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, Unpack

import attrs

from persona_share._protocol import errors
from persona_share._protocol.http import Request, Response, Sink
from persona_share._protocol.redaction import escaped
from persona_share.errors import (
    ApiError,
    AuthenticationError,
    ConnectionLostError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    PersonaError,
    UnexpectedContentTypeError,
)
from persona_share.model.file import File
from persona_share.model.policy import is_number
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret, as_secret
from persona_share.ports import FileAccess, NewFile, Sender
from persona_share.resources.base import Caller
from persona_share.resources.query_options import CallOptions, checked_options


# ── Downloads ────────────────────────────────────────────────────────────────


#: The default limit of a file's size.
MAX_BYTES: Final = 100 * 1024 * 1024

Progress = Callable[[int, int | None], object]
Fetch = Callable[[Sink], Awaitable[None]]


class Download:
    """A file or a PDF that has not been requested yet.

    ``await`` it for its bytes, iterate over it with ``async for`` for pieces as they
    arrive, or `save` it to a new file. Each of these sends a new request.
    """

    def __init__(
        self,
        fetch: Fetch,
        file_access: FileAccess | None,
        *,
        max_bytes: int = MAX_BYTES,
        kind: str | None = None,
    ) -> None:
        if not is_number(max_bytes) or not max_bytes > 0:
            message = "max_bytes must be a number above 0"
            raise InvalidArgumentError(message)
        self._fetch = fetch
        self._file_access = file_access
        self._limits = _Limits(max_bytes, kind)

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._whole().__await__()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sink = _Pieces(self._limits)
        task = asyncio.create_task(self._deliver(sink))
        try:
            while (piece := await sink.queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def save(self, path: str | Path, *, progress: Progress | None = None) -> Path:
        """Write the body to a new file that only its owner can read, and return its path.

        ``progress`` is called with the bytes so far and the total, or None if the
        service does not send it. A failed download leaves no file. Raises
        `FileExistsError` if the file exists.
        """
        if self._file_access is None:
            message = "this client cannot write files"
            raise InvalidArgumentError(message)
        file = await self._file_access.new_file(path)
        done = False
        try:
            await self._run(_ToFile(self._limits, file, progress))
            done = True
        finally:
            file.close(keep=done)
        return file.path

    async def into(self, sink: Sink) -> None:
        """Write the body to a sink."""
        await self._fetch(sink)

    async def _whole(self) -> bytes:
        sink = _InMemory(self._limits)
        await self._run(sink)
        return b"".join(sink.pieces)

    async def _run(self, sink: "_Sink") -> None:
        """Fetch into a sink; an error of the sink takes precedence."""
        failure: BaseException | None = None
        try:
            await self._fetch(sink)
        except PersonaError as error:
            failure = error
        if sink.failure is not None:
            failure = sink.failure
        if failure is not None:
            raise failure

    async def _deliver(self, sink: "_Pieces") -> None:
        end = None
        try:
            await self._run(sink)
        except Exception as failure:  # noqa: BLE001 — raised in the iteration
            end = failure
        except asyncio.CancelledError:
            sink.give_up()
            raise
        await sink.queue.put(end)

    def __repr__(self) -> str:
        return "<Download>"


async def write_body(response: Response, sink: Sink) -> None:
    """Write a body to a sink, if the sender returned it as a whole."""
    if response.body:
        await sink.begin(response.headers)
        await sink.write(response.body)


@attrs.frozen
class _Limits:
    """The size limit and the required content type."""

    cap: int
    kind: str | None


class _Sink:
    """A sink that records its error and reports progress."""

    def __init__(self, limits: _Limits, progress: Progress | None = None) -> None:
        self.cap = limits.cap
        self._kind = limits.kind
        self.failure: Exception | None = None
        self._progress = progress
        self._total: int | None = None
        self._taken = 0

    async def begin(self, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "")
        plain = not headers.get("content-encoding")
        self._total = int(length) if plain and length.isdecimal() else None
        self._taken = 0
        await self._recorded(self._checked(headers.get("content-type", "")))
        await self._recorded(self._restart())

    async def write(self, piece: bytes) -> None:
        if not piece:
            return
        await self._recorded(self._count(piece))

    async def _checked(self, content_type: str) -> None:
        essence = content_type.partition(";")[0].strip().lower()
        if self._kind is not None and essence != self._kind:
            message = f"the body is {escaped(essence, 100) or 'unnamed'}, not PDF"
            raise UnexpectedContentTypeError(message)

    async def _count(self, piece: bytes) -> None:
        await self._take(piece)
        self._taken += len(piece)
        if self._progress is not None:
            self._progress(self._taken, self._total)

    async def _recorded(self, step: Awaitable[None]) -> None:
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
    """Collects the pieces in memory."""

    def __init__(self, limits: _Limits) -> None:
        super().__init__(limits)
        self.pieces: list[bytes] = []

    async def _restart(self) -> None:
        self.pieces.clear()

    async def _take(self, piece: bytes) -> None:
        self.pieces.append(piece)


class _ToFile(_Sink):
    """Writes the pieces to a file."""

    def __init__(
        self, limits: _Limits, file: NewFile, progress: Progress | None
    ) -> None:
        super().__init__(limits, progress)
        self._file = file

    async def _restart(self) -> None:
        await self._file.restart()

    async def _take(self, piece: bytes) -> None:
        await self._file.write(piece)


class _Pieces(_Sink):
    """Delivers the pieces one by one; a write waits until the previous one is read."""

    def __init__(self, limits: _Limits) -> None:
        super().__init__(limits)
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(maxsize=1)
        self._delivered = False

    def give_up(self) -> None:
        """End the iteration with an error, without waiting for its consumer."""
        while not self.queue.empty():
            self.queue.get_nowait()
        message = "the download was canceled by something else than its consumer"
        self.queue.put_nowait(ConnectionLostError(message))

    async def _restart(self) -> None:
        if self._delivered:  # delivered pieces cannot be taken back
            message = "the connection was lost after part of the file was delivered"
            raise ConnectionLostError(
                message,
                advice="Start again, or use save(), which restarts by itself.",
            )

    async def _take(self, piece: bytes) -> None:
        self._delivered = True
        await self.queue.put(piece)


# ── Files ────────────────────────────────────────────────────────────────────


R = TypeVar("R", bound=Resource)

#: A file, or its URL.
AnyFile = File | Secret | str

_GONE: Final = 410
_EXPIRED: Final = (AuthenticationError, NotFoundError, PermissionDeniedError)


class Files:
    """The files of objects: photos, documents, attachments."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def download(
        self,
        file: AnyFile,
        *,
        renew: Callable[[], Awaitable[AnyFile | None]] | None = None,
        max_bytes: int = MAX_BYTES,
        **options: Unpack[CallOptions],
    ) -> Download:
        """Return the download of a file, by the URL that an object has.

        The URL is valid for a few hours. ``renew`` returns a new one, and is called
        once if the old one was refused. Raises `InvalidArgumentError` for a URL of
        another host than the service's. Source: page "Downloading files".
        """
        checked_options(options)
        # Rebound: frames in an error report must not contain the URL.
        file = Secret(file) if isinstance(file, str) else file

        async def fetch(sink: Sink) -> None:
            """Fetch the file, and once more under a renewed URL."""
            try:
                await self._get(file, sink, options)
            except ApiError as error:
                if renew is None or not _expired(error):
                    raise
            else:
                return
            renewed = await renew()
            if renewed is None:
                message = "the object no longer has this file"
                raise InvalidArgumentError(message)
            await self._get(renewed, sink, options)

        return Download(fetch, self._caller.require_file_access(), max_bytes=max_bytes)

    def download_of(
        self,
        retrieve: Callable[[], Awaitable[R]],
        pick: Callable[[R], AnyFile | None],
        *,
        max_bytes: int = MAX_BYTES,
        **options: Unpack[CallOptions],
    ) -> Download:
        """Return the download of a file of an object, which is retrieved first.

        ``pick`` chooses the file. If its URL is refused, the object is retrieved once
        more.
        """
        checked_options(options)

        async def retrieve_and_pick() -> AnyFile | None:
            """Retrieve the resource again and pick its file."""
            return pick(await retrieve())

        async def fetch(sink: Sink) -> None:
            """Fetch the file that the resource names now."""
            found = await retrieve_and_pick()
            if found is None:
                message = "the object has no such file"
                raise InvalidArgumentError(message)
            inner = self.download(found, renew=retrieve_and_pick, **options)
            await inner.into(sink)

        return Download(fetch, self._caller.require_file_access(), max_bytes=max_bytes)

    async def _get(self, file: AnyFile, sink: Sink, options: CallOptions) -> None:
        self._caller.require_open()
        sender, request = await self._request(_url(file), sink, options)
        response = await sender.send(request)
        if not response.ok:
            raise errors.error_of(request, attrs.evolve(response, body=b""))
        await write_body(response, sink)

    async def _request(
        self, url: Secret, sink: Sink, options: CallOptions
    ) -> tuple[Sender, Request]:
        """Return the request for a file, and its sender."""
        caller = self._caller
        sender, target = await caller.require_file_access().file_host(url)
        request = Request(
            method="GET",
            route="/{file}",
            target=target,
            deadline=caller.runtime.clock.now()
            + options.get("timeout", caller.timeout),
            headers={"Accept": "*/*", **options.get("headers", {})},
            retries=options.get("retries", caller.retries),
            sink=sink,
        )
        return sender, request


def _url(file: AnyFile) -> Secret:
    url = file.url if isinstance(file, File) else file
    if url is None:
        message = "the file has no URL"
        raise InvalidArgumentError(message)
    return as_secret(url)


def _expired(error: ApiError) -> bool:
    return isinstance(error, _EXPIRED) or error.status == _GONE
