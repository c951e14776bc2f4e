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
    log_error,
    read_delivery,
    scope_from,
)
from persona_share.integrations.health import Health, health_of
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.session import ScopedSession
from persona_share.webhooks import MAX_BODY, Delivery, Verifier


#: The key of the manager in an application and its subapplications.
MANAGER: Final = web.AppKey("persona_share.manager", ScopedTokenManager)
_EXCEPTIONS: Final[Mapping[int, Callable[..., web.HTTPException]]] = {
    400: web.HTTPBadRequest,
    413: partial(web.HTTPRequestEntityTooLarge, MAX_BODY),
    503: web.HTTPServiceUnavailable,
}
_RESPONSE: Final = web.RequestKey("persona_share.response", web.StreamResponse)


def setup(app: web.Application, lifespan: Lifespan) -> None:
    """Open the manager while the application runs, and turn errors into responses.

    Subapplications are included.
    """
    holder = ManagerHolder(lifespan)

    async def opened(app: web.Application) -> AsyncIterator[None]:
        """Keep the manager open while the application runs."""
        async with holder.opened() as manager:
            app[MANAGER] = manager
            yield

    app.cleanup_ctx.append(opened)
    app.middlewares.append(error_middleware)
    app.on_response_prepare.append(_record_started)


def manager_of(request: web.Request) -> ScopedTokenManager:
    """Return the manager of the application that a request belongs to."""
    return request.config_dict[MANAGER]


def session_of(request: web.Request, scope: Scope | str) -> ScopedSession:
    """Return a session for a scope.

    The scope may contain path parameters, as in ``inquiry.read:{inquiry_id}``; each
    value must be a single id.
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
    """Verify a webhook's delivery and claim its event while the block runs.

    The response is 400 if the signature is not valid, 413 if the body exceeds
    ``largest`` bytes, and 503 if another request handles the event.
    ``client_max_size`` does not apply. See `Verifier.handling`.
    """
    signature = request.headers.get("Persona-Signature")
    async with AsyncExitStack() as stack:
        try:
            body = await read_delivery(request.content.iter_any(), largest)
            handling = verifier.handling(body, signature)
            delivery = await stack.enter_async_context(handling)
        except REFUSED_DELIVERIES as error:
            error_response = log_error(error, _operation(request))
            raise _EXCEPTIONS[error_response.status](
                text=orjson.dumps(error_response.body()).decode(),
                content_type="application/json",
                headers=error_response.headers(),
            ) from None
        yield delivery


def _operation(request: web.Request) -> str:
    """Return the method and the path of the route, without the values in it."""
    resource = request.match_info.route.resource
    path = "" if resource is None else resource.canonical
    return f"{request.method} {path}".rstrip()


async def _record_started(request: web.Request, response: web.StreamResponse) -> None:
    """Record a response whose headers were sent, such as that of a WebSocket."""
    request[_RESPONSE] = response


@web.middleware
async def error_middleware(
    request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Turn a `PersonaError` into a response."""
    try:
        return await handler(request)
    except PersonaError as error:
        error_response = log_error(error, _operation(request))
        started = request.get(_RESPONSE)
        if isinstance(started, web.WebSocketResponse):
            message = error_response.code.encode()
            await started.close(code=error_response.close_code, message=message)
            return started
        if started is not None:  # the status was sent: close the connection
            raise
    return web.json_response(
        error_response.body(),
        status=error_response.status,
        headers=error_response.headers(),
    )
