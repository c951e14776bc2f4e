"""A middleware for aiohttp's client that adds scoped tokens to its requests."""

from typing import Final

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, hdrs
from aiohttp.payload import BytesPayload

from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.model.secret import MaskedText


_UNAUTHORIZED: Final = 401


class ScopedTokens:
    """Adds the token of one scope to each request to the manager's origin.

    ``ClientSession(middlewares=[ScopedTokens(manager, scope)])``, or ``middlewares=``
    of one request. Requests to other origins pass through unchanged, including those
    that follow a redirect. After a 401 the manager decides, as for its own sessions; a
    request with a streamed body is not repeated. Raises the errors of
    `ScopedTokenManager.token`.
    """

    def __init__(self, manager: ScopedTokenManager, scope: Scope | str) -> None:
        self._credential = manager.credential(scope)

    async def __call__(
        self, request: ClientRequest, handler: ClientHandlerType
    ) -> ClientResponse:
        """Send a request with a token; repeat it after a 401 if the manager says so."""
        if not self._credential.serves(str(request.url)):
            return await handler(request)
        authorization = await self._credential.get()
        refusals = 0
        while True:
            request.headers[hdrs.AUTHORIZATION] = MaskedText(
                authorization.header.reveal()
            )
            response = await handler(request)
            if response.status != _UNAUTHORIZED:
                if response.ok:
                    self._credential.on_success(authorization)
                return response
            if not _repeatable(request):
                return response
            refusals += 1
            retry = await self._credential.on_unauthorized(authorization, refusals)
            if retry is None:
                return response
            authorization = retry
            response.release()


def _repeatable(request: ClientRequest) -> bool:
    return not request.body or isinstance(request.body, BytesPayload)
