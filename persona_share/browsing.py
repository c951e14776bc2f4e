"""Lists and deletes the records of a token store, for operators."""

from types import TracebackType
from typing import Self

import attrs

from persona_share._tokens import record as records
from persona_share._tokens.record import ScopeRecord, UnreadableRecordError
from persona_share._transport.runtime import default_runtime
from persona_share.errors import StoreCorruptError
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.ports import Store, Versioned
from persona_share.stores.access import Change, change


_KIND = "scope/"


@attrs.frozen
class Stored:
    """The record of one scope.

    ``scope`` and ``token`` are None if there is no token, or if the record cannot be
    decrypted (``sealed``). ``seconds`` is the remaining lifetime of the token, and
    ``paused`` the remaining backoff in seconds. ``exchanging`` means that a manager is
    acquiring a token. ``codes`` is the number of queued codes.
    """

    name: str
    seconds: float | None
    scope: Scope | None
    sealed: bool
    exchanging: bool
    paused: float
    codes: int
    token: Secret | None = attrs.field(repr=False)


class Browser:
    """Lists and deletes the records of a store; no API key is needed.

    Use it with ``async with``, which opens the store and may raise a `StoreError`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self) -> list[Stored]:
        """Return the records of all scopes, ordered by expiry, without changing them.

        Raises `StoreUnavailableError`.
        """
        found = []
        async for key in self._store.keys(_KIND):
            stored = await self._read(key)
            if stored is not None:
                found.append(stored)
        return sorted(found, key=lambda each: (each.seconds is None, each.seconds or 0))

    async def drop(self, name: str) -> None:
        """Delete the token and the queued codes of a record.

        A manager that needs the token acquires a new one. A record that cannot be read
        is deleted as a whole. Raises `StoreUnavailableError`.
        """
        key = _KIND + name

        def forget(found: Versioned) -> tuple[Change | None, None]:
            if found.value is None:
                return None, None
            try:
                record = records.decode(key, found.value, ScopeRecord)
                record = records.forget(record, found.now)
            except UnreadableRecordError:
                record = ScopeRecord()
            ttl = record.ttl(found.now)
            value = records.encode(key, record) if ttl > 0 else None
            return Change(value, max(ttl, 1.0)), None

        await change(self._store, default_runtime(), key, forget)

    async def __aenter__(self) -> Self:
        await self._store.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._store.aclose()

    async def _read(self, key: str) -> Stored | None:
        name = key.removeprefix(_KIND)
        try:
            found = await self._store.read(key)
            if found.value is None:
                return None
            record = records.decode(key, found.value, ScopeRecord)
        except (StoreCorruptError, UnreadableRecordError):
            return Stored(name, None, None, True, False, 0.0, 0, None)
        now, token, backoff = found.now, record.token, record.backoff
        return Stored(
            name=name,
            seconds=None if token is None else token.expires - now,
            scope=None if token is None else Scope.parse(token.scope),
            sealed=False,
            exchanging=record.lease is not None and record.lease.until > now,
            paused=0.0 if backoff is None else max(0.0, backoff.until - now),
            codes=sum(each.deadline > now for each in record.codes),
            token=None if token is None else token.secret,
        )
