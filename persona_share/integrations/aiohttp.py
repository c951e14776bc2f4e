"""aiohttp.web: one manager for an application, sessions for its requests.

`persona_share.integrations.application` says what an opening (``sharing``) is::

    setup(app, sharing)


    async def read(request):
        session = session_of(request, "inquiry.read:{inquiry_id}")
"""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from persona_share.errors import PersonaError, SignatureError
from persona_share.integrations.application import Holder, Opening, filled
from persona_share.integrations.health import Health, health_of
from persona_share.integrations.refusal import noted
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.session import ScopedSession
from persona_share.webhooks import Delivery, Verifier


#: Where an application, and every application below it, has its manager.
MANAGER: Final = web.AppKey("persona_share.manager", ScopedTokenManager)


def setup(app: web.Application, opening: Opening) -> None:
    """Open and close with this application, and turn our errors into answers."""
    holder = Holder(opening)

    async def opened(app: web.Application) -> AsyncIterator[None]:
        """Hold the manager for as long as the application runs."""
        async with holder.opened() as manager:
            app[MANAGER] = manager
            yield

    app.cleanup_ctx.append(opened)
    app.middlewares.append(answer_errors)


def manager_of(request: web.Request) -> ScopedTokenManager:
    """Answer the manager of the application that a request belongs to."""
    return request.config_dict[MANAGER]


def session_of(request: web.Request, scope: Scope | str) -> ScopedSession:
    """Answer a session for a scope.

    It may name parameters of the path, ``inquiry.read:{inquiry_id}``; each must be a
    single id.
    """
    return manager_of(request).session(filled(scope, request.match_info))


def health_for(request: web.Request) -> Health:
    """Answer how the sharing does."""
    return health_of(manager_of(request))


async def verified(request: web.Request, verifier: Verifier) -> Delivery:
    """Answer a webhook's delivery once it was verified.

    A request that is not signed as it must be ends here with 400; the largest body is
    the application's own ``client_max_size``.
    """
    body = await request.read()
    try:
        return await verifier.receive(body, request.headers.get("Persona-Signature"))
    except SignatureError:
        raise web.HTTPBadRequest(text="bad signature") from None


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request that failed with an error of ours: a middleware."""
    try:
        return await handler(request)
    except PersonaError as error:
        refusal = noted(error, request.method)
    return web.json_response(
        refusal.body(), status=refusal.status, headers=refusal.headers()
    )
