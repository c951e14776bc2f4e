"""Files: downloaded from their own host, without any credential."""

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
from persona_share.resources.downloads import MAX_BYTES, Download, write_body
from persona_share.resources.query_options import CallOptions, checked_options


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
                message = "the object has no such file any more"
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

        async def pick_anew() -> AnyFile | None:
            """Retrieve the resource again and pick its file."""
            return pick(await retrieve())

        async def fetch(sink: Sink) -> None:
            """Fetch the file that the resource names now."""
            found = await pick_anew()
            if found is None:
                message = "the object has no such file"
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
        await write_body(response, sink)


def _url(file: AnyFile) -> str:
    url = file.url if isinstance(file, File) else file
    if url is None:
        message = "the file has no URL"
        raise InvalidArgumentError(message)
    return url.reveal() if isinstance(url, Secret) else url


def _expired(error: ApiError) -> bool:
    return isinstance(error, _EXPIRED) or error.status == _GONE
