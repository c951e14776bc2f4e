"""Lends a scope's token to requests that another client sends."""

from collections.abc import Callable

from persona_share._protocol.urls import origin_of
from persona_share._tokens.bearer import TokenBearer
from persona_share._tokens.broker import Broker
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken
from persona_share.ports import Authorization, ClientContext


class TokenLender(TokenBearer):
    """Gives out the token of one scope, and another one after a 401.

    ``origin`` is the only scheme, host and port that a token may be sent to.
    """

    __slots__ = ("_context", "_require_open", "origin")

    def __init__(
        self,
        scope: Scope,
        broker: Broker,
        context: ClientContext,
        require_open: Callable[[], None],
    ) -> None:
        super().__init__(scope, broker, context.runtime)
        self._context = context
        self._require_open = require_open
        self.origin: str | None = origin_of(context.origin)

    def serves(self, url: str) -> bool:
        """Answer whether a request to this address may carry a token."""
        return self.origin is not None and origin_of(url) == self.origin

    async def lend(self) -> AccessToken:
        """Answer a usable token.

        Raises a `TokenError`, or `DeadlineExceededError` when none came in the time
        that a call of the client may take.
        """
        self._require_open()
        return self.cached() or await self.get(self._deadline())

    async def lend_again(
        self, refused: Authorization, refusals: int
    ) -> AccessToken | None:
        """Answer what to repeat a request with after so many 401, or None to give up."""
        return await self.on_unauthorized(refused, refusals, self._deadline())

    def _deadline(self) -> float:
        return self._now() + self._context.timeout
