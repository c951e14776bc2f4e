"""A session: the calls that one scope allows, under tokens that renew themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from persona_share.errors import InvalidArgumentError, ScopeNotCoveredError
from persona_share.model.policy import CONCURRENCY
from persona_share.model.scope import Scope
from persona_share.resources.api import ResourceAccessors
from persona_share.resources.base import Caller, covers
from persona_share.resources.retrieving import readable


if TYPE_CHECKING:
    from persona_share.batch import Batch
    from persona_share.batch.order import Ids, OnProgress, Order, Path


class ScopedSession(ResourceAccessors):
    """Acts under the scoped token of one scope; made by a manager, without any I/O.

    Keep it or drop it as you like: it holds nothing that needs closing. What its scope
    does not cover is refused here, before any byte is sent (`ScopeNotCoveredError`).
    """

    __slots__ = ("_describe", "_fetching", "_open", "scope")

    def __init__(
        self,
        scope: Scope,
        caller: Caller,
        open_session: "Callable[[Scope], ScopedSession]",
        describe: Callable[[Scope], str],
        fetching: "Callable[[Caller, Order], Batch]",
    ) -> None:
        super().__init__(caller)
        self.scope: Scope = scope
        self._open = open_session
        self._describe = describe
        self._fetching = fetching

    def covers(self, permission: str, object_id: str) -> bool:
        """Answer whether this session allows exactly this on exactly this object."""
        return covers(self.scope, permission, object_id)

    def narrow(self, scope: Scope | str) -> "ScopedSession":
        """Answer a session for a part of this one's scope.

        Raises `ScopeNotCoveredError` for what this session does not cover itself.
        """
        smaller = Scope.parse(scope)
        if not smaller <= self.scope:
            missing = str(smaller - self.scope)
            message = "a session can only be narrowed"
            raise ScopeNotCoveredError(message, missing=missing)
        return self._open(smaller)

    def fetch(
        self,
        ids: "Ids | None" = None,
        *,
        concurrency: int = CONCURRENCY,
        checkpoint: "Path | None" = None,
        on_progress: "OnProgress | None" = None,
    ) -> "Batch":
        """Fetch many objects, or all that the scope lets one read, as they arrive.

        ``concurrency`` is how many calls travel at once. ``checkpoint`` is a file that
        remembers what was acknowledged, so that a rerun skips it. ``on_progress`` is
        told after each object how far it is. Raises `InvalidArgumentError`.
        """
        from persona_share.batch.order import Order  # noqa: PLC0415 — few need it

        if ids is None:
            ids = tuple(readable(self.scope))
            if not ids:
                message = "the scope names no object to read; pass their ids"
                raise InvalidArgumentError(message)
        order = Order(ids, concurrency, checkpoint, on_progress)
        return self._fetching(self._caller, order)

    def __repr__(self) -> str:
        size = len(self.scope)
        return f"<ScopedSession of {size} permissions, {self._describe(self.scope)}>"
