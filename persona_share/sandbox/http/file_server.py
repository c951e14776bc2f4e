"""The second host: files by URLs that carry an access token of their own.

It is a place that no bearer belongs to: a request with an Authorization header is
refused, and counted in the log.
"""

from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from persona_share.errors import ConfigurationError
from persona_share.model.ids import is_id
from persona_share.sandbox.behavior.faults import FILE_OPERATION, Effect, RequestFaults
from persona_share.sandbox.hosts import Access
from persona_share.sandbox.http.listener import Listener
from persona_share.sandbox.http.pipeline import SANDBOX_HEADERS
from persona_share.sandbox.http.server import cut_connection, refused
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.files import StoredFile
from persona_share.sandbox.state.log import Entry
from persona_share.sandbox.state.state import State


#: Where files are served, away from the API.
FILE_HOST: Final = "127.0.0.2"

_CHUNK: Final = 64 * 1024
_OK: Final = 200


class FileServer:
    """Serves files on another address than the API, as Persona does."""

    def __init__(self, state: State, access: Access) -> None:
        self._state = state
        self._access = access
        self._listener = Listener(self._answered, state.log.crashes)

    async def start(self, host: str) -> tuple[str, int]:
        """Listen on any free port, and return the address and the port.

        Raises:
            ConfigurationError: where the address cannot be had.
        """
        try:
            return await self._listener.start(host, 0)
        except ConfigurationError:
            if host != FILE_HOST:
                raise
            # Some systems have no other loopback address; there it is another port.
            return await self._listener.start("127.0.0.1", 0)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        await self._listener.stop()

    async def _answered(self, http_request: web.BaseRequest) -> web.StreamResponse:
        faults_now = self._state.faults.for_request(FILE_OPERATION)
        if faults_now.take(Effect.HANG):
            await self._state.faults.wait_for_release()
        if faults_now.take(Effect.CUT) or faults_now.take(Effect.LOSE_ANSWER):
            self._log(http_request, None)
            return cut_connection(http_request)
        if (late := faults_now.take(Effect.DELAY)) is not None:
            await self._state.runtime.sleep(late.seconds)
        if (
            fault := faults_now.take(Effect.ANSWER)
        ) is not None and fault.response is not None:
            self._log(http_request, fault.response.status)
            return _of_fault(fault.response)
        try:
            file = self._found(http_request)
        except ApiError as error:
            self._log(http_request, error.status)
            return refused(error)
        self._log(http_request, _OK)
        return await _streamed(http_request, file, faults_now)

    def _found(self, http_request: web.BaseRequest) -> StoredFile:
        if not self._access.allows(http_request.headers.get("Host")):
            raise ApiError(421, "this Host is not served here")
        if "Authorization" in http_request.headers:
            raise ApiError(400, "a file takes no Authorization header")
        if http_request.method != "GET":
            raise ApiError(405)
        path, _, query = http_request.raw_path.partition("?")
        tokens = parse_qs(query).get("access_token", [""])
        status = self._state.files.access_error_status(path, tokens[0])
        if status is not None:
            raise ApiError(status)
        file = self._state.files.find(path)
        if file is None:
            raise ApiError(404)
        return file

    def _log(self, http_request: web.BaseRequest, status: int | None) -> None:
        bearer = "Authorization" in http_request.headers
        if bearer:
            self._state.log.authorizations_at_files += 1
        name = http_request.raw_path.partition("?")[0].partition(".")[0].strip("/")
        entry = Entry(
            at=self._state.runtime.now(),
            operation=FILE_OPERATION,
            status=status,
            credential="authorization" if bearer else None,
            object_id=name if is_id(name) else None,
        )
        self._state.log.append(entry)


async def _streamed(
    http_request: web.BaseRequest, file: StoredFile, faults_now: RequestFaults
) -> web.StreamResponse:
    """Send a file, or as much or as little of it as a fault wants."""
    response = web.StreamResponse(headers=SANDBOX_HEADERS)
    response.content_type = file.media_type
    oversize = faults_now.take(Effect.OVERSIZE)
    if oversize is None:
        response.content_length = len(file.content)
    else:
        response.enable_chunked_encoding()
    await response.prepare(http_request)
    if oversize is not None:
        for encoded in range(0, oversize.size, _CHUNK):
            await response.write(b"\0" * min(_CHUNK, oversize.size - encoded))
    elif faults_now.take(Effect.TRUNCATE) is not None:
        await response.write(file.content[: len(file.content) // 2])
        if http_request.transport is not None:
            http_request.transport.close()
        return response
    else:
        await response.write(file.content)
    await response.write_eof()
    return response


def _of_fault(response: Response) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if value}
    return web.Response(status=response.status, body=response.body, headers=headers)
