"""Under which credential objects are fetched: one that is there, or a token a group."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

import attrs

from persona_share.batch.brake import Brake
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeSourceError,
    DeadlineExceededError,
    InvalidScopeError,
    PersonaError,
    ScopeNotGrantedError,
    TokenError,
)
from persona_share.model.batch import Failed
from persona_share.model.ids import checked_id, resource_of
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope, atom


Retrieve = Callable[[str], Awaitable[Resource]]
_Group = list[tuple[str, str]]  # ids, each with its atom

#: As many ids are looked up in a checkpoint at once.
CHUNK: Final = 256
# A source that refused so many scopes in a row, whole and in parts, refuses them all:
# to find one bad object among 256 takes nine.
_FRUITLESS: Final = 16


@attrs.frozen
class Job:
    """An object, and how to retrieve it; ``fresh`` until it has cost a second token."""

    id: str
    retrieve: Retrieve
    fresh: bool = True


Opened = AsyncIterator[Job | Failed]


class Opening(Protocol):
    """Turns a chunk of ids into jobs."""

    @property
    def size(self) -> int:
        """How many ids make a chunk."""
        ...

    def jobs(self, object_ids: Sequence[str], *, fresh: bool) -> Opened:
        """Go through the jobs, and through what failed before it became one."""
        ...


@attrs.frozen
class Direct:
    """Everything under the one credential that is there."""

    retrieve: Retrieve
    size: int = CHUNK

    async def jobs(self, object_ids: Sequence[str], *, fresh: bool) -> Opened:
        """Go through the objects as they are."""
        for each in object_ids:
            yield Job(each, self.retrieve, fresh)


@attrs.define(eq=False)
class Scoped:
    """A scope, and so a token, for every group of objects.

    A scope that the partner grants only in part, or not at all, is divided until the
    objects that are the reason are found: they fail, the rest is fetched. With
    ``free``, when nobody is asked for codes, looking for the reason costs nothing.
    """

    size: int
    permission: str | None
    bring: Callable[[Scope], Awaitable[object]]
    retrieve_under: Callable[[Scope], Retrieve]
    brake: Brake
    free: bool = False
    _fruitless: int = 0

    async def jobs(self, object_ids: Sequence[str], *, fresh: bool) -> Opened:
        """Bring a token for each group, and go through its objects."""
        named: _Group = []
        for each in object_ids:
            try:
                named.append((each, self._atom(each)))
            except PersonaError as error:
                yield Failed(each, error)
        groups = self._of_one_scope(named)
        while groups:
            scope, group = groups.pop()
            refusal = await self._brought(scope)
            if refusal is None:
                retrieve = self.retrieve_under(scope)
                for each, _ in group:
                    yield Job(each, retrieve, fresh)
                continue
            parts = self._parts(group, refusal)
            tried = {each for part in parts for each, _ in part}
            for each in (each for each, _ in group if each not in tried):
                yield Failed(each, refusal.fresh())
            for part in parts:
                groups += self._of_one_scope(part)

    def _of_one_scope(self, group: _Group) -> list[tuple[Scope, _Group]]:
        """Answer a group with its scope, or its parts where the text is too long."""
        if not group:
            return []
        try:
            return [(Scope(text for _, text in group), group)]
        except InvalidScopeError:
            return [
                found for half in _halves(group) for found in self._of_one_scope(half)
            ]

    def _atom(self, object_id: str) -> str:
        checked_id(object_id)
        if self.permission is not None:
            return atom(self.permission, object_id)
        family = resource_of(object_id)
        if family is None:
            message = "an id has a prefix whose permission is not known: name it"
            raise InvalidScopeError(message)
        return atom(f"{family}.read", object_id)

    async def _brought(self, scope: Scope) -> PersonaError | None:
        """Bring a token; answer why there is none, after pauses where they may help."""
        while True:
            try:
                await self.bring(scope)
            except (TokenError, DeadlineExceededError) as error:
                if self._is_local(error):
                    self._fruitless += not self.free
                    return error
                waits = error.retryable and not self.free
                if not waits or not self.brake.pause(error.retry_after or 0.0):
                    return error
            else:
                self._fruitless = 0
                self.brake.worked()
                return None
            await self.brake.over()

    def _is_local(self, error: PersonaError) -> bool:
        """Answer whether the reason may lie in single objects of the scope."""
        if isinstance(error, ScopeNotGrantedError):
            return True
        refused = isinstance(error, CodeSourceError | AuthorizationCodeRequiredError)
        return refused and (self.free or self._fruitless < _FRUITLESS)

    def _parts(self, group: _Group, error: PersonaError) -> list[_Group]:
        """Answer the parts of a group that are tried again."""
        if isinstance(error, ScopeNotGrantedError):
            missing = frozenset(error.missing.split())
            granted = [each for each in group if each[1] not in missing]
            return [granted] if 0 < len(granted) < len(group) else []
        return _halves(group) if len(group) > 1 and self._is_local(error) else []


def _halves(group: _Group) -> list[_Group]:
    middle = len(group) // 2
    return [group[middle:], group[:middle]]
