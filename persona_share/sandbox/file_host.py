"""The second host: files by URLs that carry an access token of their own.

It is a place that no bearer belongs to: a request with an Authorization header is
refused, and counted in the log.
"""

from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from persona_share.errors import ConfigurationError
from persona_share.model.ids import is_id
from persona_share.sandbox.calls import Reply
from persona_share.sandbox.effects import Effect
from persona_share.sandbox.faults import Plan
from persona_share.sandbox.files import OPERATION, StoredFile
from persona_share.sandbox.hosts import allowed
from persona_share.sandbox.listening import Listener
from persona_share.sandbox.log import Entry
from persona_share.sandbox.outgoing import BANNER
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.server import cut, refused
from persona_share.sandbox.state import State


#: Where files are served, away from the API.
HOST: Final = "127.0.0.2"

_CHUNK: Final = 64 * 1024
_OK: Final = 200


class FileHost:
    """Listens on another address than the API, as Persona's file host does."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._anywhere = False
        self._listener = Listener(self._answered, state.log.crashes)

    async def start(self, host: str, *, anywhere: bool) -> tuple[str, int]:
        """Listen on any free port, and answer the address and the port.

        Raises:
            ConfigurationError: where the address cannot be had.
        """
        self._anywhere = anywhere
        try:
            return await self._listener.start(host, 0)
        except ConfigurationError:
            if host != HOST:
                raise
            # Some systems answer on 127.0.0.1 alone; another port has to do there.
            return await self._listener.start("127.0.0.1", 0)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        await self._listener.stop()

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        plan = self._state.faults.begin(OPERATION)
        if plan.take(Effect.HANG):
            await self._state.faults.hold()
        if plan.take(Effect.CUT) or plan.take(Effect.LOSE_ANSWER):
            self._note(request, None)
            return cut(request)
        if (late := plan.take(Effect.DELAY)) is not None:
            await self._state.world.sleep(late.seconds)
        if (fault := plan.take(Effect.ANSWER)) is not None and fault.reply is not None:
            self._note(request, fault.reply.status)
            return _of_fault(fault.reply)
        try:
            file = self._found(request)
        except Problem as problem:
            self._note(request, problem.status)
            return refused(problem)
        self._note(request, _OK)
        return await _streamed(request, file, plan)

    def _found(self, request: web.BaseRequest) -> StoredFile:
        if not allowed(request.headers.get("Host"), anywhere=self._anywhere):
            raise Problem(421, "this Host is not served here")
        if "Authorization" in request.headers:
            raise Problem(400, "a file takes no Authorization header")
        if request.method != "GET":
            raise Problem(405)
        path, _, query = request.raw_path.partition("?")
        tokens = parse_qs(query).get("access_token", [""])
        status = self._state.files.refusal(path, tokens[0])
        if status is not None:
            raise Problem(status)
        file = self._state.files.find(path)
        if file is None:
            raise Problem(404)
        return file

    def _note(self, request: web.BaseRequest, status: int | None) -> None:
        bearer = "Authorization" in request.headers
        if bearer:
            self._state.log.authorizations_at_files += 1
        name = request.raw_path.partition("?")[0].partition(".")[0].strip("/")
        entry = Entry(
            at=self._state.world.now(),
            operation=OPERATION,
            status=status,
            credential="authorization" if bearer else None,
            object_id=name if is_id(name) else None,
        )
        self._state.log.append(entry)


async def _streamed(
    request: web.BaseRequest, file: StoredFile, plan: Plan
) -> web.StreamResponse:
    """Send a file, or as much or as little of it as a fault wants."""
    response = web.StreamResponse(headers=BANNER)
    response.content_type = file.media_type
    oversize = plan.take(Effect.OVERSIZE)
    if oversize is None:
        response.content_length = len(file.content)
    else:
        response.enable_chunked_encoding()
    await response.prepare(request)
    if oversize is not None:
        for sent in range(0, oversize.size, _CHUNK):
            await response.write(b"\0" * min(_CHUNK, oversize.size - sent))
    elif plan.take(Effect.TRUNCATE) is not None:
        await response.write(file.content[: len(file.content) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    else:
        await response.write(file.content)
    await response.write_eof()
    return response


def _of_fault(reply: Reply) -> web.Response:
    headers = {name: value for name, value in reply.headers.items() if value}
    return web.Response(status=reply.status, body=reply.body, headers=headers)
