"""Starlette and FastAPI: one manager for an application, sessions for its requests.

`persona_share.integrations.application` explains the lifespan ``sharing``::

    persona = Persona(sharing)
    app = FastAPI(lifespan=own)  # its own lifespan goes on as it is
    persona.install(app)


    @app.get("/inquiries/{inquiry_id}")
    async def read(
        inquiry_id: str,
        session: Annotated[
            ScopedSession, Depends(persona.session("inquiry.read:{inquiry_id}"))
        ],
    ): ...
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from persona_share.errors import MissingExtraError, PersonaError
from persona_share.integrations.application import (
    Lifespan as ManagerLifespan,
    ManagerHolder,
    Refusal,
    noted,
    read_delivery,
    scope_from,
)
from persona_share.integrations.health import Health, health_of
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.session import ScopedSession
from persona_share.webhooks import MAX_BODY, Delivery, Verifier


try:
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Mount
    from starlette.websockets import WebSocket, WebSocketState
except ImportError as _missing:
    raise MissingExtraError.of(_missing, __name__, "starlette") from None


Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class Persona:
    """The manager of one Starlette or FastAPI application, and what requests get of it.

    It may be made when modules are imported: nothing is opened before the application
    starts, and everything is closed when it ends.
    """

    def __init__(self, lifespan: ManagerLifespan) -> None:
        self._holder = ManagerHolder(lifespan)

    def install(self, app: Starlette) -> None:
        """Open and close with this application, and turn our errors into responses.

        That includes the applications that are mounted below it when it starts. Call
        it on the outermost application: the lifespans of mounted ones never run.
        """
        router = app.router
        router.lifespan_context = self.lifespan(router.lifespan_context)
        app.add_exception_handler(PersonaError, answer_error)

    def lifespan(self, inner: Lifespan | None = None) -> Lifespan:
        """Return a lifespan that keeps the manager open around another one."""

        @asynccontextmanager
        async def both(app: Any) -> AsyncIterator[Any]:
            """Keep the manager open around what the application opens itself."""
            _handle_errors_below(app)
            async with self._holder.opened():
                if inner is None:
                    yield None
                    return
                async with inner(app) as state:
                    yield state

        return both

    async def manager(self) -> ScopedTokenManager:
        """Return the manager; usable as a FastAPI dependency."""
        return self._holder.manager()

    def session(
        self, scope: Scope | str
    ) -> Callable[[HTTPConnection], Awaitable[ScopedSession]]:
        """Return a dependency that returns a session for a scope.

        The scope may name parameters of the path, ``inquiry.read:{inquiry_id}``; each
        must be a single id. It works in HTTP and WebSocket routes. Without FastAPI,
        call it with the request or the WebSocket.
        """

        async def session_of(connection: HTTPConnection) -> ScopedSession:
            """Return the session of one request."""
            asked = scope_from(scope, connection.path_params)
            return self._holder.manager().session(asked)

        return session_of

    async def health(self) -> Health:
        """Return the state of the tokens; usable as a FastAPI dependency."""
        return health_of(self._holder.manager())

    async def health_endpoint(self, _: Request) -> Response:
        """Respond 200 or 503 with the state of the tokens, for a load balancer.

        Use it as ``app.add_route("/health", persona.health_endpoint)``.
        """
        found = await self.health()
        headers = {"Cache-Control": "no-store"}
        return JSONResponse(found.as_dict(), found.status, headers)


def verified(
    verifier: Verifier, *, largest: int = MAX_BODY
) -> Callable[[Request], AsyncIterator[Delivery]]:
    """Return a dependency that verifies a webhook's delivery.

    It has the event while the handler runs, and gives it back if the handler raises. A
    request that is not signed as it must be is answered 400, one over ``largest`` bytes
    413, and an event that is being handled 503; the handler is not called then. The
    application answers these errors as `Persona.install` does, unless it has a handler
    for `PersonaError`.
    """

    async def delivery_of(request: Request) -> AsyncIterator[Delivery]:
        """Yield the delivery in one request."""
        handlers, _ = request.scope.get("starlette.exception_handlers", ({}, {}))
        handlers.setdefault(PersonaError, answer_error)
        body = await read_delivery(request.stream(), largest)
        signature = request.headers.get("Persona-Signature")
        async with verifier.handling(body, signature) as delivery:
            yield delivery

    return delivery_of


async def answer_error(connection: HTTPConnection, error: Exception) -> Any:
    """Respond to a request or end a WebSocket that failed with an error of ours.

    It is an exception handler of Starlette for `PersonaError`.
    """
    if not isinstance(error, PersonaError):
        raise error
    refusal = noted(error, connection.scope.get("method", "WebSocket"))
    response = JSONResponse(refusal.body(), refusal.status, refusal.headers())
    if isinstance(connection, WebSocket):
        await _end(connection, refusal, response)
        return None
    return response


async def _end(socket: WebSocket, refusal: Refusal, response: Response) -> None:
    """End a WebSocket: with a response before it was accepted, else with a close."""
    if socket.application_state is WebSocketState.CONNECTING:
        if "websocket.http.response" in socket.scope.get("extensions", {}):
            await socket.send_denial_response(response)
            return
    elif socket.application_state is not WebSocketState.CONNECTED:
        return
    await socket.close(refusal.close_code, refusal.code)


def _handle_errors_below(app: Any) -> None:
    """Add our exception handler to mounted applications that have none for it.

    Each application catches its own exceptions, so one handler at the top is not
    enough.
    """
    for route in getattr(app, "routes", ()):
        if not isinstance(route, Mount):
            continue
        if isinstance(route.app, Starlette):
            route.app.exception_handlers.setdefault(PersonaError, answer_error)
        _handle_errors_below(route)
