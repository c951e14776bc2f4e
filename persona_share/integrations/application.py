"""One manager for one application, independent of the framework.

The application brings a *lifespan*: a function that opens its client and its manager::

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

Lifespan = Callable[[], AbstractAsyncContextManager[ScopedTokenManager]]


class ManagerHolder:
    """Holds the manager of one application while it runs."""

    def __init__(self, lifespan: Lifespan) -> None:
        self._lifespan = lifespan
        self._manager: ScopedTokenManager | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ScopedTokenManager]:
        """Open the manager and hold it until the block ends.

        Raises `UsageError` if it is open already.
        """
        if self._manager is not None:
            message = "the application was started already"
            raise UsageError(message)
        async with self._lifespan() as manager:
            self._manager = manager
            manager.context.wait_at_most(RATE_LIMIT_WAIT)
            try:
                yield manager
            finally:
                self._manager = None

    def manager(self) -> ScopedTokenManager:
        """Return the manager; raises `NotOpenError` unless the application runs."""
        if self._manager is None:
            message = "the application has not started, or has ended"
            raise NotOpenError(
                message, advice="Let its lifespan run; a test client must enter it."
            )
        return self._manager


def scope_from(template: Scope | str, values: Mapping[str, str]) -> Scope:
    """Return a scope with ids of a request filled in: ``inquiry.read:{inquiry_id}``.

    Each value must be an id, so that no request can widen a scope. Raises
    `InvalidIdError`, or `InvalidArgumentError` if a value is missing.
    """
    if isinstance(template, Scope):
        return template
    wanted = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    if missing := [name for name in wanted if name not in values]:
        message = f"the scope needs {missing[0]!r}, which the path does not have"
        raise InvalidArgumentError(message)
    ids = {name: checked_id(values[name], name) for name in wanted}
    return Scope.from_text(template.format_map(ids))  # ids of a request warn nobody
