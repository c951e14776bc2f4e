"""One token for each group of objects.

`workers` divides the ids into chunks, in their order; each chunk becomes one group, or
several if the partner refuses some of them. Tokens for the next groups are acquired
ahead and in parallel. Without groups, one existing credential serves all objects.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import anyio
import attrs

from persona_share.batch.outages import OutageMonitor, StopAfter
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    BadRequestError,
    CodeRefusedError,
    CodeSourceError,
    DeadlineExceededError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeRateLimitedError,
    InvalidArgumentError,
    InvalidScopeError,
    NotFoundError,
    PermissionDeniedError,
    PersonaError,
    ScopeNotGrantedError,
    StoreError,
    StoreUnavailableError,
    TokenError,
    UnprocessableError,
)
from persona_share.model.batch import Failed
from persona_share.model.ids import checked_id, resource_of
from persona_share.model.scope import Scope, atom
from persona_share.ports import Clock


Retrieve = Callable[[str], Awaitable[Any]]
_NamedIds = list[tuple[str, str]]  # ids, each with its scope atom

#: The size of a chunk of ids where there are no groups.
CHUNK: Final = 256
#: At most this many groups are prepared ahead of the one that is fetched.
MAX_AHEAD: Final = 8
#: A code source that passes on an error of the service for this many scopes in a row,
#: whole and in parts, fails for all. Finding one bad object among 256 needs nine. A
#: response that something was not found does not count: it is about objects.
SOURCE_FAILURES: Final = 16
#: Scopes in a row for which a code source has a failure that no repetition cures.
_MAX_SOURCE_MISTAKES: Final = 3
#: HTTP statuses of a code source's own service that may concern single objects.
_STATUSES_ABOUT_OBJECTS: Final = frozenset({400, 403, 404, 422})
#: A group is set aside after this many failures that were not part of an outage.
_MAX_TRIES: Final = 3
#: A group fails after this many rejected codes.
_MAX_REJECTED_CODES: Final = 3
#: No object can be fetched after one of these: the client's own key is refused.
_FATAL = ExchangeAuthenticationError | ExchangeForbiddenError
#: Responses of the service to an authorization that concern the objects in its scope.
_ABOUT_OBJECTS = (
    BadRequestError | NotFoundError | PermissionDeniedError | UnprocessableError
)


@attrs.define(eq=False)
class Group:
    """A token's scope, and how many of its objects still need it.

    ``owns_token`` is set if the token was acquired for this group alone.
    """

    scope: Scope
    open: int
    owns_token: bool


@attrs.define
class WorkItem:
    """An object of a batch, and how to retrieve it.

    ``token_failed`` is set when its token failed; it is then planned once more, in
    another group. ``regrouped`` is set in that second plan. ``tries`` counts failures
    that were not part of an outage.
    """

    id: str
    retrieve: Retrieve
    regrouped: bool = False
    group: Group | None = None
    token_failed: bool = False
    tries: int = 0


@attrs.frozen
class Postponed:
    """Ids whose group has no token yet; they are planned again after the others."""

    ids: list[str]


WorkItems = AsyncIterator[WorkItem | Failed | Postponed]


class Planner(Protocol):
    """Turns chunks of ids into items."""

    @property
    def size(self) -> int:
        """The number of ids in a chunk."""
        ...

    @property
    def linger(self) -> float:
        """The seconds that a chunk waits for more ids of a slow source."""
        ...

    @property
    def max_ahead(self) -> int:
        """The number of chunks that are prepared ahead at most."""
        ...

    def items(self, object_ids: Sequence[str], *, regrouped: bool) -> WorkItems:
        """Iterate over items, failures that happened before an item, and postponed ids.

        Nothing that is ``regrouped`` is postponed.
        """
        ...

    async def done(self, item: WorkItem) -> None:
        """Record that an item needs its credential no more."""
        ...


class Lookahead:
    """How many groups are prepared ahead of the one that is being fetched.

    A token that is acquired early ages unused; one that is acquired late makes the
    workers wait. So as many groups are prepared as are fetched while one token is
    acquired, and at least one.
    """

    def __init__(self, max_ahead: int) -> None:
        self._max = max_ahead
        self._allowed = 1
        self._ahead = 0
        self._acquiring = 0.0
        self._changed = anyio.Event()

    async def enter(self) -> None:
        """Return when one more group may be prepared."""
        while self._ahead >= self._allowed:
            await self._changed.wait()
        self._ahead += 1

    def prepared(self, seconds: float) -> None:
        """Record how long it took to prepare a group."""
        self._acquiring = max(seconds, self._acquiring / 2)

    def leave(self) -> None:
        """Record that a prepared group is being fetched, or was empty."""
        self._ahead -= 1
        self._wake()

    def fetched(self, seconds: float) -> None:
        """Record how long it took until the last object of a group was started."""
        needed = self._acquiring / seconds if seconds > 0 else self._max
        wanted = math.ceil(min(needed, self._max))
        # The first groups may be fast only because the rate limit is not spent yet.
        self._allowed = max(min(wanted, 2 * self._allowed), 1)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


@attrs.frozen
class DirectPlanner:
    """Everything under the one credential that exists."""

    retrieve: Retrieve
    size: int = CHUNK
    max_ahead: int = 1
    linger: float = 0.0

    async def items(self, object_ids: Sequence[str], *, regrouped: bool) -> WorkItems:
        """Iterate over the objects unchanged."""
        for each in object_ids:
            yield WorkItem(each, self.retrieve, regrouped)

    async def done(self, item: WorkItem) -> None:
        """Do nothing: the credential stays."""


@attrs.define(eq=False, kw_only=True)
class GroupPlanner:
    """A scope, and so a token, for every group of objects.

    If the partner names the objects that it refuses, or grants less than was asked,
    those objects fail and the rest of the group is asked for again. If it refuses
    without naming any, the group is divided until they are found. Without a code source
    (``has_source``) only held tokens are used, and dividing a group costs no codes.

    Any other exception of a code source says nothing about objects. The source is
    asked again, for other groups first; if it fails for all of them, it is an outage.
    A mistake in the program stops the batch.
    """

    size: int
    permission: str | None
    acquire: Callable[[Scope], Awaitable[object]]
    forget: Callable[[Scope], Awaitable[None]]
    is_held: Callable[[Scope], bool]
    retrieve_under: Callable[[Scope], Retrieve]
    outages: OutageMonitor
    clock: Clock
    has_source: bool = True
    max_ahead: int = MAX_AHEAD
    linger: float = 1.0
    _source_failures: int = attrs.field(default=0, init=False)
    _stop: StopAfter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Create the count of mistakes."""
        self._stop = StopAfter(_MAX_SOURCE_MISTAKES, _is_mistake)

    async def items(self, object_ids: Sequence[str], *, regrouped: bool) -> WorkItems:
        """Acquire a token for each group, and iterate over its objects."""
        named, failed = self._named(object_ids)
        for failure in failed:
            yield failure
        groups = self._with_scopes(named)
        while groups:
            scope, group = groups.pop()
            owns_token = not self.is_held(scope)
            refusal = await self._acquire(scope)
            if refusal is None:
                retrieve = self.retrieve_under(scope)
                state = Group(scope, len(group), owns_token)
                for each, _ in group:
                    yield WorkItem(each, retrieve, regrouped, state)
            elif refusal.retryable and not regrouped and not self._divides(refusal):
                yield Postponed([each for each, _ in group])
            else:
                parts = self._parts(group, refusal)
                kept = {each for part in parts for each, _ in part}
                for each in [each for each, _ in group if each not in kept]:
                    yield Failed(each, refusal.fresh())
                for part in parts:
                    groups += self._with_scopes(part)

    async def done(self, item: WorkItem) -> None:
        """Drop the token of a group with its last object, so that it is not renewed."""
        group = item.group
        if group is None:
            return
        group.open -= 1
        if not group.open and group.owns_token:
            with suppress(StoreError):
                await self.forget(group.scope)

    def _named(self, object_ids: Sequence[str]) -> tuple[_NamedIds, list[Failed]]:
        """Return the ids with their scope atoms, and those that have none."""
        named: _NamedIds = []
        failed: list[Failed] = []
        for each in object_ids:
            try:
                named.append((each, self._atom(each)))
            except PersonaError as error:
                failed.append(Failed(each, error))
        return named, failed

    def _with_scopes(self, group: _NamedIds) -> list[tuple[Scope, _NamedIds]]:
        """Return the group with its scope, or its parts if the scope is too long."""
        if not group:
            return []
        try:
            return [(Scope(text for _, text in group), group)]
        except InvalidScopeError:
            return [
                found for half in _halves(group) for found in self._with_scopes(half)
            ]

    def _atom(self, object_id: str) -> str:
        checked_id(object_id)
        if self.permission is not None:
            _require_family(self.permission, object_id)
            return atom(self.permission, object_id)
        family = resource_of(object_id)
        if family is None:
            message = (
                "the prefix of the id does not determine a permission: pass permission="
            )
            raise InvalidScopeError(message)
        return atom(f"{family}.read", object_id)

    async def _acquire(self, scope: Scope) -> PersonaError | None:
        """Acquire a token; return why there is none, after pauses that may help."""
        tries = 0
        while True:
            async with self.outages.attempt() as probe:
                try:
                    await self.acquire(scope)
                except (
                    TokenError,
                    DeadlineExceededError,
                    StoreUnavailableError,
                ) as error:
                    if isinstance(error, _FATAL):
                        raise
                    if self._divides(error) and self._is_plausible(error):
                        return error
                    if _is_mistake(error):
                        self.outages.succeeded()
                        self._stop.failed(error)
                        return error
                    tries += self._is_own(error, scope, probe=probe)
                    if tries >= _MAX_TRIES:
                        return error
                    pause = min(error.retry_after or 2.0**tries, 60.0)
                else:
                    self._source_failures = 0
                    self._stop.succeeded()
                    self.outages.succeeded()
                    return None
            await self.clock.sleep(pause)

    def _is_own(self, error: PersonaError, scope: Scope, *, probe: bool) -> bool:
        """Return whether a failure is not part of an outage or of the rate limit."""
        if error.retryable and not isinstance(error, ExchangeRateLimitedError):
            return not self.outages.failed(error, probe=probe, scope=scope.text)
        self.outages.succeeded()  # there was a response
        return not error.retryable

    def _divides(self, error: PersonaError) -> bool:
        """Return whether the reason may be single objects of the scope."""
        if isinstance(error, CodeSourceError):
            cause = error.__cause__
            if cause is None or isinstance(cause, PersonaError):
                return isinstance(cause, _ABOUT_OBJECTS)
            return error.status in _STATUSES_ABOUT_OBJECTS
        if isinstance(error, AuthorizationCodeRequiredError):
            return not self.has_source
        return isinstance(error, ScopeNotGrantedError | CodeRefusedError)

    def _is_plausible(self, error: PersonaError) -> bool:
        """Return False if the source fails for so many scopes that it is the source."""
        if not isinstance(error, CodeSourceError):
            self.outages.succeeded()  # the partner responded
            self._source_failures = 0
            return True
        if not isinstance(error.__cause__, NotFoundError):
            self._source_failures += 1
        if self._source_failures >= SOURCE_FAILURES:
            return False
        self.outages.succeeded()  # the service responded
        return True

    def _parts(self, group: _NamedIds, error: PersonaError) -> list[_NamedIds]:
        """Return the parts of a group that are asked for again."""
        refused: frozenset[str] | None = None
        if isinstance(error, ScopeNotGrantedError):
            refused = frozenset(error.missing.split())
        elif isinstance(error, CodeRefusedError) and error.refused is not None:
            refused = frozenset(str(error.refused).split())
        if refused is not None:
            rest = [each for each in group if each[1] not in refused]
            if len(rest) < len(group):
                return [rest] if rest else []
            if isinstance(error, ScopeNotGrantedError):
                return []
        return _halves(group) if len(group) > 1 and self._divides(error) else []


def _is_mistake(error: PersonaError) -> bool:
    """Return whether a code source would fail in the same way again."""
    return isinstance(error, CodeSourceError) and not error.retryable


def _require_family(permission: str, object_id: str) -> None:
    found = resource_of(object_id)
    wanted = permission.partition(".")[0]
    if found is not None and found != wanted:
        message = f"the id is one of {found!r}, and {permission!r} was asked for"
        raise InvalidArgumentError(message)


def _halves(group: _NamedIds) -> list[_NamedIds]:
    """Return both halves, the first one last: groups are planned from the end."""
    middle = len(group) // 2
    return [group[middle:], group[:middle]]
