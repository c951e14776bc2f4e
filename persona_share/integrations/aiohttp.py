"""aiohttp.web: one manager for an application, sessions for its requests.

`persona_share.integrations.application` explains the lifespan ``sharing``::

    setup(app, sharing)


    async def read(request):
        session = session_of(request, "inquiry.read:{inquiry_id}")
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from persona_share.errors import PersonaError
from persona_share.integrations.application import (
    REFUSED_DELIVERIES,
    Lifespan,
    ManagerHolder,
    noted,
    read_delivery,
    scope_from,
)
from persona_share.integrations.health import Health, health_of
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.session import ScopedSession
from persona_share.webhooks import MAX_BODY, Delivery, Verifier


#: The key of the manager in an application, and in every application below it.
MANAGER: Final = web.AppKey("persona_share.manager", ScopedTokenManager)
_KINDS: Final[Mapping[int, Callable[..., web.HTTPException]]] = {
    400: web.HTTPBadRequest,
    413: partial(web.HTTPRequestEntityTooLarge, MAX_BODY),
    503: web.HTTPServiceUnavailable,
}
_RESPONSE: Final = web.RequestKey("persona_share.response", web.StreamResponse)


def setup(app: web.Application, lifespan: Lifespan) -> None:
    """Open and close with this application, and turn our errors into responses.

    That includes the applications below it.
    """
    holder = ManagerHolder(lifespan)

    async def opened(app: web.Application) -> AsyncIterator[None]:
        """Keep the manager open while the application runs."""
        async with holder.opened() as manager:
            app[MANAGER] = manager
            yield

    app.cleanup_ctx.append(opened)
    app.middlewares.append(answer_errors)
    app.on_response_prepare.append(_remember)


def manager_of(request: web.Request) -> ScopedTokenManager:
    """Return the manager of the application that a request belongs to."""
    return request.config_dict[MANAGER]


def session_of(request: web.Request, scope: Scope | str) -> ScopedSession:
    """Return a session for a scope.

    It may name parameters of the path, ``inquiry.read:{inquiry_id}``; each must be a
    single id.
    """
    return manager_of(request).session(scope_from(scope, request.match_info))


def health_for(request: web.Request) -> Health:
    """Return the state of the tokens."""
    return health_of(manager_of(request))


async def health_endpoint(request: web.Request) -> web.Response:
    """Respond 200 or 503 with the state of the tokens, for a load balancer.

    Use it as ``app.router.add_get("/health", health_endpoint)``.
    """
    found = health_for(request)
    headers = {"Cache-Control": "no-store"}
    return web.json_response(found.as_dict(), status=found.status, headers=headers)


@asynccontextmanager
async def verified(
    request: web.Request, verifier: Verifier, *, largest: int = MAX_BODY
) -> AsyncIterator[Delivery]:
    """Verify a webhook's delivery and have its event while the block runs.

    A request that is not signed as it must be is answered 400, one over ``largest``
    bytes 413, and an event that is being handled 503; ``client_max_size`` does not
    apply. See `Verifier.handling`.
    """
    signature = request.headers.get("Persona-Signature")
    async with AsyncExitStack() as stack:
        try:
            body = await read_delivery(request.content.iter_any(), largest)
            handling = verifier.handling(body, signature)
            delivery = await stack.enter_async_context(handling)
        except REFUSED_DELIVERIES as error:
            refusal = noted(error, request.method)
            raise _KINDS[refusal.status](
                text=orjson.dumps(refusal.body()).decode(),
                content_type="application/json",
                headers=refusal.headers(),
            ) from None
        yield delivery


async def _remember(request: web.Request, response: web.StreamResponse) -> None:
    """Remember a response whose head is sent, such as that of a WebSocket."""
    request[_RESPONSE] = response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to a request that failed with an error of ours: a middleware."""
    try:
        return await handler(request)
    except PersonaError as error:
        refusal = noted(error, request.method)
        begun = request.get(_RESPONSE)
        if isinstance(begun, web.WebSocketResponse):
            await begun.close(code=refusal.close_code, message=refusal.code.encode())
            return begun
        if begun is not None:  # too late for another status: end the connection
            raise
    return web.json_response(
        refusal.body(), status=refusal.status, headers=refusal.headers()
    )
