"""aiohttp.web: one manager for an application, sessions for its requests.

`persona_share.integrations.application` says what an opening (``sharing``) is::

    setup(app, sharing)


    async def read(request):
        session = session_of(request, "inquiry.read:{inquiry_id}")
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from persona_share.errors import PersonaError
from persona_share.integrations.application import Holder, Opening, filled
from persona_share.integrations.health import Health, health_of
from persona_share.integrations.refusal import REFUSED_DELIVERIES, noted
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.session import ScopedSession
from persona_share.webhooks import LARGEST_BODY, Delivery, Verifier


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


@asynccontextmanager
async def verified(
    request: web.Request, verifier: Verifier, *, largest: int = LARGEST_BODY
) -> AsyncIterator[Delivery]:
    """Verify a webhook's delivery and have its event while the block runs.

    A request that is not signed as it must be is answered 400, one over ``largest``
    bytes 413, and an event that is being handled 503; ``client_max_size`` does not
    apply. See `Verifier.handling`.
    """
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > largest:
            raise web.HTTPRequestEntityTooLarge(largest, len(body))
    signature = request.headers.get("Persona-Signature")
    async with AsyncExitStack() as stack:
        try:
            handling = verifier.handling(bytes(body), signature)
            delivery = await stack.enter_async_context(handling)
        except REFUSED_DELIVERIES as error:
            refusal = noted(error, request.method)
            unavailable = refusal.status == HTTPStatus.SERVICE_UNAVAILABLE
            kind = web.HTTPServiceUnavailable if unavailable else web.HTTPBadRequest
            raise kind(
                text=orjson.dumps(refusal.body()).decode(),
                content_type="application/json",
                headers=refusal.headers(),
            ) from None
        yield delivery


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
