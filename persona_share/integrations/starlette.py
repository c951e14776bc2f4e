"""Starlette and FastAPI: one manager for an application, sessions for its requests.

`persona_share.integrations.application` says what an opening (``sharing``) is::

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
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from persona_share.errors import PersonaError
from persona_share.integrations.application import Holder, Opening, filled
from persona_share.integrations.health import Health, health_of
from persona_share.integrations.refusal import REFUSED_DELIVERIES, noted
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.session import ScopedSession
from persona_share.webhooks import LARGEST_BODY, Delivery, Verifier


Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class Persona:
    """The manager of one Starlette or FastAPI application, and what requests get of it.

    It may be made when modules are imported: nothing is opened before the application
    starts, and everything is closed when it ends.
    """

    def __init__(self, opening: Opening) -> None:
        self._holder = Holder(opening)

    def install(self, app: Starlette) -> None:
        """Open and close with this application, and turn our errors into answers."""
        router = app.router
        router.lifespan_context = self.lifespan(router.lifespan_context)
        app.add_exception_handler(PersonaError, answer_error)

    def lifespan(self, inner: Lifespan | None = None) -> Lifespan:
        """Answer a lifespan that has the manager open around another one."""

        @asynccontextmanager
        async def both(app: Any) -> AsyncIterator[Any]:
            """Hold the manager around what the application opens itself."""
            async with self._holder.opened():
                if inner is None:
                    yield None
                    return
                async with inner(app) as state:
                    yield state

        return both

    async def manager(self) -> ScopedTokenManager:
        """Answer the manager: a dependency of FastAPI as it stands."""
        return self._holder.manager()

    def session(
        self, scope: Scope | str
    ) -> Callable[[Request], Awaitable[ScopedSession]]:
        """Answer a dependency that answers a session for a scope.

        The scope may name parameters of the path, ``inquiry.read:{inquiry_id}``; each
        must be a single id. What is called with a request works without FastAPI, too.
        """

        async def session_of(request: Request) -> ScopedSession:
            """Answer the session of one request."""
            asked = filled(scope, request.path_params)
            return self._holder.manager().session(asked)

        return session_of

    async def health(self) -> Health:
        """Answer how the sharing does: a dependency of FastAPI as it stands."""
        return health_of(self._holder.manager())


def verified(
    verifier: Verifier, *, largest: int = LARGEST_BODY
) -> Callable[[Request], AsyncIterator[Delivery]]:
    """Return a dependency that verifies a webhook's delivery.

    It has the event while the handler runs, and gives it back if the handler raises. A
    request that is not signed as it must be is answered 400, one over ``largest`` bytes
    413, and an event that is being handled 503; the handler is not called then.
    """

    async def delivery_of(request: Request) -> AsyncIterator[Delivery]:
        """Yield the delivery in one request."""
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > largest:
                raise HTTPException(413)
        signature = request.headers.get("Persona-Signature")
        async with AsyncExitStack() as stack:
            try:
                handling = verifier.handling(bytes(body), signature)
                delivery = await stack.enter_async_context(handling)
            except REFUSED_DELIVERIES as error:
                if PersonaError in request.app.exception_handlers:
                    raise  # `Persona.install` answers it
                found = noted(error, request.method)
                answer = HTTPException(found.status, found.message, found.headers())
            else:
                yield delivery
                return
        raise answer

    return delivery_of


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer a request that failed with an error of ours: an exception handler."""
    if not isinstance(error, PersonaError):
        raise error
    refusal = noted(error, request.method)
    return JSONResponse(refusal.body(), refusal.status, refusal.headers())
