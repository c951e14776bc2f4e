"""One manager for one application, whatever the framework is.

An *opening* is the application's own function that opens its client and its manager::

    @asynccontextmanager
    async def sharing():
        async with PersonaClient.from_env() as client:
            async with ScopedTokenManager(client, codes=ask_partner) as manager:
                yield manager
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from string import Formatter
from typing import Final

from persona_share.errors import InvalidArgumentError, NotOpenError, UsageError
from persona_share.manager import ScopedTokenManager
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope


#: A web request waits this long for Persona's rate limit, in seconds, unless the client
#: was given a `RateLimitPolicy` with a ``max_wait`` of its own. Then it is answered 503.
RATE_LIMIT_WAIT: Final = 2.0

Opening = Callable[[], AbstractAsyncContextManager[ScopedTokenManager]]


class Holder:
    """Holds the manager of one application between its start and its end."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._held: ScopedTokenManager | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ScopedTokenManager]:
        """Open the manager and hold it until the end.

        Raises `UsageError` where it is open already.
        """
        if self._held is not None:
            message = "the application was started already"
            raise UsageError(message)
        async with self._opening() as manager:
            self._held = manager
            manager.context.wait_at_most(RATE_LIMIT_WAIT)
            try:
                yield manager
            finally:
                self._held = None

    def manager(self) -> ScopedTokenManager:
        """Answer the manager; raises `NotOpenError` before the start and after the end."""
        if self._held is None:
            message = "the application has not started, or has ended"
            raise NotOpenError(
                message, advice="Let its lifespan run; a test client must enter it."
            )
        return self._held


def filled(template: Scope | str, values: Mapping[str, str]) -> Scope:
    """Answer a scope with ids from a request in it: ``inquiry.read:{inquiry_id}``.

    Each value must be an id, so that no request can widen a scope. Raises
    `InvalidIdError`, or `InvalidArgumentError` where a value is missing.
    """
    if isinstance(template, Scope):
        return template
    wanted = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    if missing := [name for name in wanted if name not in values]:
        message = f"the scope asks for {missing[0]!r}, which the path does not have"
        raise InvalidArgumentError(message)
    ids = {name: checked_id(values[name], name) for name in wanted}
    return Scope.parse(template.format_map(ids))
