"""An `httpx.Auth` that adds scoped tokens to the requests of an `httpx.AsyncClient`."""

from collections.abc import AsyncGenerator, Generator
from typing import Final

from persona_share.errors import MissingExtraError, UsageError
from persona_share.manager import ScopedTokenManager
from persona_share.model.scope import Scope
from persona_share.model.secret import MaskedText


try:
    import httpx
except ImportError as _missing:
    raise MissingExtraError.of(_missing, __name__, "httpx") from None


_UNAUTHORIZED: Final = 401


class ScopedAuth(httpx.Auth):
    """Adds the token of one scope to each request to the manager's origin.

    ``httpx.AsyncClient(auth=ScopedAuth(manager, scope))``, or ``auth=`` of one request.
    Requests to other origins pass through unchanged. After a 401 the manager decides,
    as for its own sessions; a request with a streamed body is not repeated. Raises the
    errors of `ScopedTokenManager.token`, and `UsageError` in a synchronous client.
    """

    def __init__(self, manager: ScopedTokenManager, scope: Scope | str) -> None:
        self._credential = manager.credential(scope)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request with a token; repeat it after a 401 if the manager says so."""
        if not self._credential.serves(str(request.url)):
            yield request
            return
        authorization = await self._credential.get()
        refusals = 0
        while True:
            request.headers["Authorization"] = MaskedText(authorization.header.reveal())
            response = yield request
            if response.is_success:
                self._credential.on_success(authorization)
            if not self._was_refused(response) or not _repeatable(request):
                return
            refusals += 1
            retry = await self._credential.on_unauthorized(authorization, refusals)
            if retry is None:
                return
            authorization = retry

    def _was_refused(self, response: httpx.Response) -> bool:
        # After a redirect, another origin may have responded; it got no token.
        refused = response.status_code == _UNAUTHORIZED
        return refused and self._credential.serves(str(response.url))

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Raise `UsageError`: a synchronous client cannot wait for a token."""
        _refuse_sync()
        yield request


def _repeatable(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)


def _refuse_sync() -> None:
    message = "scoped tokens need an httpx.AsyncClient"
    raise UsageError(message)
