"""A session: the calls that one scope allows, under tokens that renew themselves."""

from collections.abc import Callable

from persona_share.errors import ScopeNotCoveredError
from persona_share.model.scope import Scope
from persona_share.resources.base import Caller, covers
from persona_share.resources.surface import Surface


class ScopedSession(Surface):
    """Acts under the scoped token of one scope; made by a manager, without any I/O.

    Keep it or drop it as you like: it holds nothing that needs closing. What its scope
    does not cover is refused here, before any byte is sent (`ScopeNotCoveredError`).
    """

    __slots__ = ("_describe", "_open", "scope")

    def __init__(
        self,
        scope: Scope,
        caller: Caller,
        open_session: "Callable[[Scope], ScopedSession]",
        describe: Callable[[Scope], str],
    ) -> None:
        super().__init__(caller)
        self.scope: Scope = scope
        self._open = open_session
        self._describe = describe

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

    def __repr__(self) -> str:
        size = len(self.scope)
        return f"<ScopedSession of {size} permissions, {self._describe(self.scope)}>"
