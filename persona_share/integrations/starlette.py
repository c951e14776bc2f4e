"""Starlette and FastAPI: one manager for an application, sessions for its requests.

`persona_share.integrations.application` explains the lifespan ``sharing``::

    persona = Persona(sharing)
    app = FastAPI(lifespan=own)  # its own lifespan runs as before
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
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any

from persona_share.errors import MissingExtraError, PersonaError
from persona_share.integrations.application import (
    REFUSED_DELIVERIES,
    ErrorResponse,
    Lifespan as ManagerLifespan,
    ManagerHolder,
    log_error,
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
    """The manager of one Starlette or FastAPI application, with dependencies for requests.

    It can be created at import time: nothing is opened before the application starts,
    and everything is closed when it stops.
    """

    def __init__(self, lifespan: ManagerLifespan) -> None:
        self._holder = ManagerHolder(lifespan)

    def install(self, app: Starlette) -> None:
        """Open the manager while the application runs, and turn errors into responses.

        Applications that are mounted when it starts are included. Call it on the
        outermost application: Starlette never runs the lifespans of mounted ones.
        """
        router = app.router
        router.lifespan_context = self.lifespan(router.lifespan_context)
        app.add_exception_handler(PersonaError, handle_error)

    def lifespan(self, inner: Lifespan | None = None) -> Lifespan:
        """Return a lifespan that keeps the manager open around another one."""

        @asynccontextmanager
        async def combined(app: Any) -> AsyncIterator[Any]:
            """Run the inner lifespan while the manager is open."""
            _handle_errors_in_mounts(app)
            async with self._holder.opened():
                if inner is None:
                    yield None
                    return
                async with inner(app) as state:
                    yield state

        return combined

    async def manager(self) -> ScopedTokenManager:
        """Return the manager; usable as a FastAPI dependency."""
        return self._holder.manager()

    def session(
        self, scope: Scope | str
    ) -> Callable[[HTTPConnection], Awaitable[ScopedSession]]:
        """Return a dependency that returns a session for a scope.

        The scope may contain path parameters, as in ``inquiry.read:{inquiry_id}``; each
        value must be a single id. The dependency works in HTTP and WebSocket routes.
        Without FastAPI, call it with the request or the WebSocket.
        """

        async def session_of(connection: HTTPConnection) -> ScopedSession:
            """Return the session of one request."""
            requested = scope_from(scope, connection.path_params)
            return self._holder.manager().session(requested)

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

    The event is claimed while the handler runs, and released if the handler raises.
    The response is 400 if the signature is not valid, 413 if the body exceeds
    ``largest`` bytes, and 503 if another request handles the event; the handler is then
    not called. An exception handler of the application for `PersonaError` takes
    precedence.
    """

    async def delivery_of(request: Request) -> AsyncIterator[Delivery]:
        """Yield the delivery in one request."""
        signature = request.headers.get("Persona-Signature")
        async with AsyncExitStack() as stack:
            try:
                body = await read_delivery(request.stream(), largest)
                handling = verifier.handling(body, signature)
                delivery = await stack.enter_async_context(handling)
            except REFUSED_DELIVERIES as error:
                raise _refusal(request, error) from None
            yield delivery

    return delivery_of


class _RefusedDeliveryError(Exception):
    """A refused delivery, in an application that handles no `PersonaError`."""

    def __init__(self, error: PersonaError) -> None:
        super().__init__()
        self.error = error


def _refusal(request: Request, error: PersonaError) -> Exception:
    """Return the exception for which the application has a handler.

    Our own handler concerns deliveries only: other routes respond as before.
    """
    handlers, _ = request.scope.get("starlette.exception_handlers", (None, None))
    if handlers is None or any(kind in handlers for kind in type(error).__mro__):
        return error
    handlers[_RefusedDeliveryError] = _handle_refusal
    return _RefusedDeliveryError(error)


async def _handle_refusal(request: Request, refused: _RefusedDeliveryError) -> Any:
    return await handle_error(request, refused.error)


async def handle_error(connection: HTTPConnection, error: Exception) -> Any:
    """Respond to a request, or close a WebSocket, that raised a `PersonaError`.

    This is an exception handler for Starlette.
    """
    if not isinstance(error, PersonaError):
        raise error
    error_response = log_error(error, _operation(connection))
    response = JSONResponse(
        error_response.body(), error_response.status, error_response.headers()
    )
    if isinstance(connection, WebSocket):
        await _close(connection, error_response, response)
        return None
    return response


def _operation(connection: HTTPConnection) -> str:
    """Return the method and the path of the route, without the values in it."""
    path: str = getattr(connection.scope.get("route"), "path", "")
    return f"{connection.scope.get('method', 'WebSocket')} {path}".rstrip()


async def _close(
    socket: WebSocket, error_response: ErrorResponse, response: Response
) -> None:
    """Deny a WebSocket that is not accepted yet with a response; else close it."""
    if socket.application_state is WebSocketState.CONNECTING:
        if "websocket.http.response" in socket.scope.get("extensions", {}):
            await socket.send_denial_response(response)
            return
    elif socket.application_state is not WebSocketState.CONNECTED:
        return
    await socket.close(error_response.close_code, error_response.code)


def _handle_errors_in_mounts(app: Any) -> None:
    """Add `handle_error` to mounted applications without a handler for `PersonaError`.

    Each application catches its own exceptions, so a handler on the outermost one is
    not enough.
    """
    for route in getattr(app, "routes", ()):
        if not isinstance(route, Mount):
            continue
        if isinstance(route.app, Starlette):
            route.app.exception_handlers.setdefault(PersonaError, handle_error)
        _handle_errors_in_mounts(route)
