"""A session: the calls that one scope allows, under tokens that are refreshed in time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from persona_share.errors import InvalidArgumentError, ScopeNotCoveredError
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope, split_atom
from persona_share.resources.api import ResourceAccessors, readable
from persona_share.resources.base import Caller, covers


if TYPE_CHECKING:
    from persona_share.batch import Batch
    from persona_share.batch.batch import FetchArguments, FetchOptions
    from persona_share.batch.workers import Ids

R = TypeVar("R", bound=Resource)


class ScopedSession(ResourceAccessors):
    """Acts under the token of one scope; a manager makes it, without any I/O.

    Keep it or drop it as you like: it holds nothing that needs closing. A call that its
    scope does not cover is refused here, before any byte is sent
    (`ScopeNotCoveredError`).
    """

    __slots__ = ("_describe", "_fetching", "scope")

    def __init__(
        self,
        scope: Scope,
        caller: Caller,
        describe: Callable[[], str],
        fetching: "Callable[[Caller, FetchOptions], Batch[Any]]",
    ) -> None:
        super().__init__(caller)
        self.scope: Scope = scope
        self._describe = describe
        self._fetching = fetching

    def covers(self, permission: str, object_id: str) -> bool:
        """Return whether this session allows exactly this on exactly this object."""
        return covers(self.scope, permission, object_id)

    def narrow(self, scope: Scope | str) -> "ScopedSession":
        """Return a session of the same token that is restricted to a part of its scope.

        It refuses every call that could reach more of the token: ``include=``, calls
        that name no object (list, search, create), and calls that name another object
        of the token, even in their body. Raises `ScopeNotCoveredError` for a scope that
        this session does not cover.
        """
        part = Scope.parse(scope)
        missing = [each for each in part if not _allows(self.scope, each)]
        if missing:
            message = "a session can only be narrowed"
            raise ScopeNotCoveredError(message, missing=" ".join(missing))
        caller = self._caller.narrowed(part)
        return ScopedSession(part, caller, self._describe, self._fetching)

    @overload
    def fetch(
        self, ids: "Ids | None" = None, **options: "Unpack[FetchArguments]"
    ) -> "Batch[Resource]": ...
    @overload
    def fetch(
        self,
        ids: "Ids | None",
        kind: type[R],
        **options: "Unpack[FetchArguments]",
    ) -> "Batch[R]": ...
    def fetch(
        self,
        ids: "Ids | None" = None,
        kind: type[Resource] = Resource,
        **options: "Unpack[FetchArguments]",
    ) -> "Batch[Any]":
        """Fetch many objects, or every object that the scope allows reading.

        ``kind`` is the class of the objects, if it is known. ``concurrency`` is the
        number of calls in flight. ``checkpoint`` is a file that remembers what was
        acknowledged, so that the next run skips it; ``acknowledge`` is "next" (asking
        for the next outcome acknowledges the one before) or "explicit". ``max_outage``
        is how long nothing may work before the batch stops, in seconds.
        ``on_progress`` is called after every object. Raises `InvalidArgumentError`.
        """
        from persona_share.batch.batch import FetchOptions  # noqa: PLC0415  # few need it

        if ids is None:
            ids = tuple(readable(self.scope))
            if not ids:
                message = "the scope names no object to read; pass their ids"
                raise InvalidArgumentError(message)
        wanted = FetchOptions(ids=ids, kind=kind, **options)
        return self._fetching(self._caller, wanted)

    def __repr__(self) -> str:
        size = len(self.scope)
        return f"<ScopedSession of {size} permissions, {self._describe()}>"


def _allows(scope: Scope, text: str) -> bool:
    """Return whether a scope holds an atom, or its bare permission."""
    permission, object_id = split_atom(text)
    return text in scope or (object_id is not None and permission in scope)
