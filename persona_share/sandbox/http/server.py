"""The API's routes and server, and the server of files on another origin."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, parse_qsl

import attrs
from aiohttp import web

from persona_share.errors import ConfigurationError
from persona_share.model.ids import is_id
from persona_share.sandbox.behavior.faults import FILE_OPERATION, Effect, RequestFaults
from persona_share.sandbox.connect import connections, share_tokens
from persona_share.sandbox.hosts import Access
from persona_share.sandbox.http.listener import Listener
from persona_share.sandbox.http.pipeline import (
    SANDBOX_HEADERS,
    ConnectionCut,
    EncodedResponse,
    Pipeline,
)
from persona_share.sandbox.inspector.control import PREFIX as CONTROL, Control
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.read import Handler, method_not_allowed
from persona_share.sandbox.oauth import endpoints
from persona_share.sandbox.resources import (
    accounts,
    api_usage,
    batch_jobs,
    cases,
    documents,
    inquiries,
    inquiry_sessions,
    reports,
    templates,
    transactions,
    verifications,
    workflows,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import StoredFile
from persona_share.sandbox.state.requests import Entry, Request
from persona_share.sandbox.state.state import PREFIX, State
from persona_share.sandbox.webhooks import resource


ROUTES: Final[Routes] = {
    **endpoints.ROUTES,
    **api_usage.ROUTES,
    **connections.ROUTES,
    **share_tokens.ROUTES,
    **inquiries.ROUTES,
    **inquiry_sessions.ROUTES,
    **verifications.ROUTES,
    **accounts.ROUTES,
    **transactions.ROUTES,
    **reports.ROUTES,
    **cases.ROUTES,
    **documents.ROUTES,
    **templates.ROUTES,
    **workflows.ROUTES,
    **batch_jobs.ROUTES,
    **resource.ROUTES,
}


@attrs.frozen
class ServedOperation:
    """One documented operation that the sandbox serves."""

    method: str
    path: str
    operation_id: str


def served_operations() -> Iterator[ServedOperation]:
    """Yield every documented operation that is served."""
    for key, operation in ROUTES.items():
        method, _, path = key.partition(" ")
        if operation.id is not None:
            yield ServedOperation(method, path, operation.id)


@attrs.frozen
class Match:
    """The operation of a request, and the parameters of its path."""

    operation: str
    handler: Handler
    params: dict[str, str]


class Router:
    """Finds the operation of a path; the id is its second or third segment."""

    def __init__(self, routes: Mapping[str, Operation]) -> None:
        self._by_pattern: dict[tuple[str, ...], tuple[str, Handler, str | None]] = {}
        for key, operation in routes.items():
            method, _, template = key.partition(" ")
            parts = template[1:].split("/")
            names = [part[1:-1] for part in parts if part.startswith("{")]
            pattern = ["*" if part.startswith("{") else part for part in parts]
            name = names[0] if names else None
            self._by_pattern[method, *pattern] = key, operation.handler, name
        self._paths = {tuple(pattern) for _, *pattern in self._by_pattern}

    def match(self, method: str, path: str) -> Match | None:
        """Return the operation of a path below the base URL, None for no such path."""
        parts, other_method = path[1:].split("/"), False
        for position in (None, 1, 2):
            if position is None:
                pattern, value = parts, None
            elif position < len(parts):
                pattern = [*parts[:position], "*", *parts[position + 1 :]]
                value = parts[position]
            else:
                continue
            found = self._by_pattern.get((method, *pattern))
            if found is not None:
                operation, handler, name = found
                params = {name: value} if name and value is not None else {}
                return Match(operation, handler, params)
            other_method = other_method or tuple(pattern) in self._paths
        if other_method:
            return Match(f"{method} (unknown)", method_not_allowed, {})
        return None


ROUTER: Final = Router(ROUTES)


#: The largest size of a body in bytes.
MAX_BODY: Final = 1024 * 1024


class Server:
    """The HTTP server in front of the pipeline."""

    def __init__(
        self, state: State, routes: Router, control: Control, access: Access
    ) -> None:
        self._state = state
        self._pipeline = Pipeline(state)
        self._routes = routes
        self._control = control
        self._access = access
        self._listener = Listener(self._handle, state.log.crashes)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address and the port.

        Raises:
            ConfigurationError: if the address or the port is not available.
        """
        return await self._listener.start(host, port)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        self._listener.close()
        self._state.faults.release()
        await self._listener.stop()

    async def _handle(self, http_request: web.BaseRequest) -> web.StreamResponse:
        try:
            if not self._access.allows(http_request.headers.get("Host")):
                raise ApiError(421, "this Host is not served here")  # noqa: TRY301 - handled below
            if http_request.path == CONTROL or http_request.path.startswith(
                f"{CONTROL}/"
            ):
                return await self._control.respond(http_request)
            request, match = await self._read(http_request)
        except ApiError as error:
            return error_response(error)
        try:
            handler = None if match is None else match.handler
            encoded = await self._pipeline.respond(request, handler)
        except ConnectionCut:
            return cut_connection(http_request)
        return await write(http_request, encoded)

    async def _read(
        self, http_request: web.BaseRequest
    ) -> tuple[Request, Match | None]:
        path, _, query = http_request.raw_path.partition("?")
        is_api = path.startswith(f"{PREFIX}/")
        path = path[len(PREFIX) :] if is_api else path
        match = self._routes.match(http_request.method, path) if is_api else None
        request = Request(
            method=http_request.method,
            path=path,
            operation=match.operation if match else f"{http_request.method} (unknown)",
            params=match.params if match else {},
            query=tuple(parse_qsl(query, keep_blank_values=True)) if query else (),
            headers=http_request.headers,
            body=await _body(http_request),
            arrived_at=self._state.runtime.now(),
        )
        return request, match


async def _body(http_request: web.BaseRequest) -> bytes:
    if not http_request.can_read_body:
        return b""
    if (http_request.content_length or 0) > MAX_BODY:
        raise ApiError(413, f"the body has more than {MAX_BODY} bytes")
    try:
        return await http_request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, f"the body has more than {MAX_BODY} bytes") from None


def error_response(error: ApiError) -> web.Response:
    """Return an error response that closes the connection."""
    response = web.Response(
        status=error.status,
        body=error.response().body,
        content_type="application/json",
        headers=SANDBOX_HEADERS,
    )
    response.force_close()
    return response


def cut_connection(http_request: web.BaseRequest) -> web.Response:
    """Close the connection without a response."""
    if http_request.transport is not None:
        http_request.transport.abort()
    return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)


async def write(
    http_request: web.BaseRequest, encoded: EncodedResponse
) -> web.StreamResponse:
    """Write a response, or half of it."""
    if not encoded.truncated:
        return web.Response(
            status=encoded.status, body=encoded.body, headers=encoded.headers
        )
    response = web.StreamResponse(status=encoded.status, headers=encoded.headers)
    response.content_length = len(encoded.body)
    await response.prepare(http_request)
    await response.write(encoded.body[: len(encoded.body) // 2])
    if http_request.transport is not None:
        http_request.transport.close()
    return response


#: The host of the file server, which is not the host of the API.
FILE_HOST: Final = "127.0.0.2"

_CHUNK: Final = 64 * 1024
_OK: Final = 200


class FileServer:
    """Serves files on another address than the API, as Persona does."""

    def __init__(self, state: State, access: Access) -> None:
        self._state = state
        self._access = access
        self._listener = Listener(self._handle, state.log.crashes)

    async def start(self, host: str) -> tuple[str, int]:
        """Listen on any free port, and return the address and the port.

        Raises:
            ConfigurationError: if the address is not available.
        """
        try:
            return await self._listener.start(host, 0)
        except ConfigurationError:
            if host != FILE_HOST:
                raise
            # Some systems have only one loopback address: use another port instead.
            return await self._listener.start("127.0.0.1", 0)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        await self._listener.stop()

    async def _handle(self, http_request: web.BaseRequest) -> web.StreamResponse:
        faults = self._state.faults.for_request(FILE_OPERATION)
        if faults.take(Effect.HANG):
            await self._state.faults.wait_for_release()
        if faults.take(Effect.CUT) or faults.take(Effect.LOSE_ANSWER):
            self._log(http_request, None)
            return cut_connection(http_request)
        if (late := faults.take(Effect.DELAY)) is not None:
            await self._state.runtime.sleep(late.seconds)
        if (
            fault := faults.take(Effect.ANSWER)
        ) is not None and fault.response is not None:
            self._log(http_request, fault.response.status)
            return _fault_response(fault.response)
        try:
            file = self._requested_file(http_request)
        except ApiError as error:
            self._log(http_request, error.status)
            return error_response(error)
        self._log(http_request, _OK)
        return await _stream(http_request, file, faults)

    def _requested_file(self, http_request: web.BaseRequest) -> StoredFile:
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
            user_agent=http_request.headers.get("User-Agent"),
        )
        self._state.log.append(entry)


async def _stream(
    http_request: web.BaseRequest, file: StoredFile, faults: RequestFaults
) -> web.StreamResponse:
    """Send a file, or the part of it that a fault allows."""
    response = web.StreamResponse(headers=SANDBOX_HEADERS)
    response.content_type = file.media_type
    oversize = faults.take(Effect.OVERSIZE)
    if oversize is None:
        response.content_length = len(file.content)
    else:
        response.enable_chunked_encoding()
    await response.prepare(http_request)
    if oversize is not None:
        for offset in range(0, oversize.size, _CHUNK):
            await response.write(b"\0" * min(_CHUNK, oversize.size - offset))
    elif faults.take(Effect.TRUNCATE) is not None:
        await response.write(file.content[: len(file.content) // 2])
        if http_request.transport is not None:
            http_request.transport.close()
        return response
    else:
        await response.write(file.content)
    await response.write_eof()
    return response


def _fault_response(response: Response) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if value}
    return web.Response(status=response.status, body=response.body, headers=headers)
