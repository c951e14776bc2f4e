"""Files of the service: fetched from their own host, without any credential (T26)."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, Unpack

import attrs

from persona_share._protocol import errors
from persona_share._protocol.http import Request, Sink
from persona_share.errors import (
    ApiError,
    AuthenticationError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from persona_share.model.file import File
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret
from persona_share.resources.base import Caller
from persona_share.resources.downloads import MOST_BYTES, Download, poured
from persona_share.resources.options import CallOptions, checked


R = TypeVar("R", bound=Resource)

#: A file, or the address of one.
AnyFile = File | Secret | str

_GONE: Final = 410
_EXPIRED: Final = (AuthenticationError, NotFoundError, PermissionDeniedError)


class Files:
    """The files that objects name: photos, papers, attachments."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def download(
        self,
        file: AnyFile,
        *,
        renew: Callable[[], Awaitable[AnyFile | None]] | None = None,
        max_bytes: int = MOST_BYTES,
        **options: Unpack[CallOptions],
    ) -> Download:
        """Answer the download of a file by the address that an object named.

        The address works for a few hours. ``renew`` answers a new one, and is asked
        once if the old one was refused. Raises `InvalidArgumentError` for an address
        off the service's hosts of files. Source: page "Downloading files".
        """
        checked(options)

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
                message = "the object names no such file any more"
                raise InvalidArgumentError(message)
            await self._get(renewed, sink, options)

        return Download(fetch, self._caller.require_file_access(), max_bytes=max_bytes)

    def download_of(
        self,
        retrieve: Callable[[], Awaitable[R]],
        pick: Callable[[R], AnyFile | None],
        *,
        max_bytes: int = MOST_BYTES,
        **options: Unpack[CallOptions],
    ) -> Download:
        """Answer the download of a file of an object, which is retrieved for it.

        ``pick`` chooses the file. If its address was refused, the object is retrieved
        once more.
        """
        checked(options)

        async def pick_anew() -> AnyFile | None:
            """Retrieve the resource again and pick its file."""
            return pick(await retrieve())

        async def fetch(sink: Sink) -> None:
            """Fetch the file that the resource names now."""
            found = await pick_anew()
            if found is None:
                message = "the object names no such file"
                raise InvalidArgumentError(message)
            inner = self.download(found, renew=pick_anew, **options)
            await inner.into(sink)

        return Download(fetch, self._caller.require_file_access(), max_bytes=max_bytes)

    async def _get(self, file: AnyFile, sink: Sink, options: CallOptions) -> None:
        caller = self._caller
        caller.require_open()
        sender, target = await caller.require_file_access().file_host(_url(file))
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
        response = await sender.send(request)
        if not response.ok:
            raise errors.error_of(request, attrs.evolve(response, body=b""))
        await poured(response, sink)


def _url(file: AnyFile) -> str:
    url = file.url if isinstance(file, File) else file
    if url is None:
        message = "the file has no address"
        raise InvalidArgumentError(message)
    return url.reveal() if isinstance(url, Secret) else url


def _expired(error: ApiError) -> bool:
    return isinstance(error, _EXPIRED) or error.status == _GONE
