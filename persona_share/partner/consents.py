"""Consents: permissions on single objects for a partner, with an expiry."""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Sequence,
    Set as AbstractSet,
)
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import attrs
import orjson

from persona_share._transport.runtime import default_runtime
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidScopeError,
    StoreCorruptError,
)
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope, atom
from persona_share.partner.records import TRIES, decoded, digest
from persona_share.ports import Runtime, Store, Versioned, is_store
from persona_share.stores.access import Change, change


#: A function of the application: returns the part of a scope that a partner can get now.
ConsentRule = Callable[[str, Scope], Awaitable[Scope]]

_MAX_REFERENCE: Final = 128
_ID_BYTES: Final = 9


@attrs.frozen
class Consent:
    """The consent to share one object with one partner, for one permission.

    ``by`` is the application's reference to the consent, such as the id of a form.
    """

    id: str
    partner: str
    permission: str
    object_id: str
    by: str = attrs.field(repr=False)
    granted_at: datetime
    until: datetime

    @property
    def scope(self) -> Scope:
        """The permission on the object, as a scope."""
        return Scope((atom(self.permission, self.object_id),))

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
        values = attrs.asdict(self)
        for name in ("granted_at", "until"):
            values[name] = values[name].isoformat()
        return values


class Consents:
    """Consents in a store; an object without a consent is not shared.

    A failure means "no consent": a record that expired, was lost or cannot be read, or
    a store that cannot be reached. A revocation stops the next code; existing tokens
    work for up to an hour. The store must not drop records: a store that reports that
    it evicts them is refused.
    """

    def __init__(self, store: Store, *, _runtime: Runtime | None = None) -> None:
        given: object = store
        if not is_store(given):
            message = f"Consents needs a store, not {type(given).__name__}"
            raise ConfigurationError(message)
        self.store = store
        self._runtime = _runtime or default_runtime()

    async def grant(
        self, partner: str, scope: Scope | str, *, until: datetime, by: str
    ) -> Sequence[Consent]:
        """Record consents for every permission of a scope, until a time.

        A consent for the same permission and object is replaced. Each object has its
        own record: after a `StoreError`, grant the whole scope again.

        Raises:
            InvalidArgumentError: ``until`` is in the past or has no time zone, or ``by``
                is missing.
            InvalidScopeError: a permission has no object.
            ConfigurationError: the store evicts records.
            StoreError: the store failed.
        """
        checked_id(partner, "partner")
        requested = _with_objects(scope)
        now = self._runtime.clock.wall()
        until = _checked_until(until, by, now)
        await self._refuse_eviction()
        new = [
            Consent(
                id=f"cns_{self._runtime.new_bytes(_ID_BYTES).hex()}",
                partner=partner,
                permission=permission,
                object_id=str(object_id),
                by=by,
                granted_at=now,
                until=until,
            )
            for permission, object_id in requested.pairs()
        ]
        for object_id in requested.object_ids():
            await self._grant(
                object_id, [each for each in new if each.object_id == object_id]
            )
        return new

    async def revoke(
        self, partner: str, scope: Scope | str | None = None
    ) -> Sequence[Consent]:
        """Remove consents, and return those that were removed.

        Without a scope all consents for this partner are removed. A removed consent is
        recorded as revoked until its end date.

        Raises:
            StoreError: the store failed; repeat the call, as some consents may remain.
        """
        if scope is None:
            atoms = {_atom(each) async for each in self.list(partner)}
        else:
            atoms = set(_with_objects(scope))
        removed: list[Consent] = []
        for object_id in sorted({each.partition(":")[2] for each in atoms}):
            removed += await self._revoke(partner, object_id, atoms)
        return removed

    async def find(self, partner: str, scope: Scope) -> Sequence[Consent]:
        """Return the consents for parts of a scope that are valid now.

        Raises:
            StoreError: the store failed, or a record cannot be read.
        """
        now = self._runtime.clock.wall()
        found: list[Consent] = []
        for object_id in scope.object_ids():
            record = await self.store.read(_key(partner, object_id))
            found += [
                each
                for each in _read_record(record).granted
                if each.partner == partner
                and each.object_id == object_id
                and each.until > now
                and scope.covers(each.permission, object_id)
            ]
        return found

    async def allowed(self, partner: str, scope: Scope | str) -> Scope:
        """Return the part of a scope that may be shared with a partner now."""
        found = await self.find(partner, Scope.parse(scope))
        return Scope(atom(each.permission, each.object_id) for each in found)

    async def revoked(self, partner: str, scope: Scope | str) -> Scope:
        """Return the part of a scope whose consent was revoked before its end date."""
        requested, now = Scope.parse(scope), self._runtime.clock.wall()
        found: list[str] = []
        for object_id in requested.object_ids():
            record = await self.store.read(_key(partner, object_id))
            found += [
                _atom(each)
                for each in _read_record(record).revoked
                if each.until > now and each.partner == partner
            ]
        return Scope(found) & requested

    async def list(self, partner: str | None = None) -> AsyncIterator[Consent]:
        """Iterate over the consents that are valid now, in any order."""
        now = self._runtime.clock.wall()
        async for key in self.store.keys(_prefix(partner)):
            for each in _read_record(await self.store.read(key)).granted:
                if each.until > now and partner in (None, each.partner):
                    yield each

    async def _grant(self, object_id: str, new: Sequence[Consent]) -> None:
        """Add consents for one object of one partner to the existing ones."""
        replaced = {each.permission for each in new}
        now = new[0].granted_at

        def transition(found: Versioned) -> tuple[Change | None, None]:
            record = _read_record(found).without(replaced)
            granted = [*record.granted, *new]
            return _change(_Record(granted, record.revoked), now), None

        key = _key(new[0].partner, object_id)
        await change(self.store, self._runtime, key, transition, tries=TRIES)

    async def _revoke(
        self, partner: str, object_id: str, atoms: AbstractSet[str]
    ) -> Sequence[Consent]:
        now = self._runtime.clock.wall()

        def transition(found: Versioned) -> tuple[Change | None, Sequence[Consent]]:
            record = _read_record(found)
            removed = [each for each in record.granted if _atom(each) in atoms]
            if not removed:
                return None, removed
            kept = record.without({each.permission for each in removed})
            revoked = [*kept.revoked, *removed]
            return _change(_Record(kept.granted, revoked), now), removed

        key = _key(partner, object_id)
        return await change(self.store, self._runtime, key, transition, tries=TRIES)

    async def _refuse_eviction(self) -> None:
        """Raise `ConfigurationError` if the store reports that it evicts records."""
        evicts = getattr(self.store, "evicts", None)
        if evicts is not None and await evicts():
            message = "the store evicts records when its memory is full, so consents would be lost"
            advice = "Use a database, or Redis with maxmemory-policy noeviction."
            raise ConfigurationError(message, advice=advice)

    async def __aenter__(self) -> Self:
        await self.store.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.store.aclose()


def _with_objects(scope: Scope | str) -> Scope:
    parsed = Scope.parse(scope)
    if not parsed or any(object_id is None for _, object_id in parsed.pairs()):
        message = "a consent is for permissions on objects, such as inquiry.read:inq_1"
        raise InvalidScopeError(message)
    return parsed


def _checked_until(until: datetime, by: str, now: datetime) -> datetime:
    """Return the end of a new consent in UTC; raises `InvalidArgumentError`."""
    for name, given, kind in (("until", until, datetime), ("by", by, str)):
        if not isinstance(given, kind):
            message = f"{name} must be a {kind.__name__}, not {type(given).__name__}"
            raise InvalidArgumentError(message)
    if until.tzinfo is None:
        message = "until needs a time zone"
        raise InvalidArgumentError(message)
    if until <= now:
        message = "until is in the past"
        raise InvalidArgumentError(message)
    if not by or len(by) > _MAX_REFERENCE or not by.isprintable():
        message = (
            f"by must be a printable reference of 1 to {_MAX_REFERENCE} characters"
        )
        raise InvalidArgumentError(message)
    try:
        return until.astimezone(UTC)
    except OverflowError:  # after the year 9999 in UTC
        message = "until is too far in the future"
        raise InvalidArgumentError(message) from None


def _prefix(partner: str | None) -> str:
    if partner is None:
        return "consent/"
    return f"consent/{digest(checked_id(partner, 'partner'))}."


def _key(partner: str, object_id: str) -> str:
    return f"{_prefix(partner)}{digest(object_id)}"


def _atom(consent: Consent) -> str:
    return atom(consent.permission, consent.object_id)


@attrs.frozen
class _Record:
    """The consents for one object and one partner, and those that were revoked."""

    granted: Sequence[Consent] = ()
    revoked: Sequence[Consent] = ()

    def without(self, permissions: AbstractSet[str]) -> "_Record":
        """Return the record without the consents for these permissions."""
        lists = (
            [each for each in consents if each.permission not in permissions]
            for consents in (self.granted, self.revoked)
        )
        return _Record(*lists)


def _change(record: _Record, now: datetime) -> Change:
    granted = [each for each in record.granted if each.until > now]
    revoked = [each for each in record.revoked if each.until > now]
    if not granted and not revoked:
        return Change(None, 1)
    value = {
        "version": 1,
        "consents": [each.as_dict() for each in granted],
        "revoked": [each.as_dict() for each in revoked],
    }
    expires_at = max(each.until for each in (*granted, *revoked))
    return Change(orjson.dumps(value), max(1.0, (expires_at - now).total_seconds()))


def _read_record(found: Versioned) -> _Record:
    record = decoded(found.value, dict)
    if record is None:
        return _Record()
    try:
        # Records of earlier versions have no "revoked".
        lists = (record["consents"], record.get("revoked", ()))
        return _Record(*([_read(each) for each in some] for some in lists))
    except (KeyError, TypeError, ValueError):
        message = "a record of consents cannot be read"
        raise StoreCorruptError(message) from None


def _read(value: dict[str, Any]) -> Consent:
    times = {
        name: datetime.fromisoformat(value[name]) for name in ("granted_at", "until")
    }
    return Consent(**{**value, **times})
