"""Shows what a store holds, to the people who look after it."""

from types import TracebackType
from typing import Self

import attrs

from persona_share._tokens import record as records
from persona_share._tokens.record import ScopeRecord, UnreadableRecordError
from persona_share.errors import StoreCorruptError
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.ports import Store


_KIND = "scope/"


@attrs.frozen
class Stored:
    """What a store keeps for one scope.

    ``scope`` and ``token`` are None if no token is held, or the record is sealed;
    ``seconds`` is what the token has left. ``exchanging``: a manager acquires a token
    now; ``paused``: for how long none tries, in seconds; ``codes``: how many codes wait.
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
    """An opened store, for people who look after it; no API key is needed.

    Use it with ``async with``; it raises what opening the store raises.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self) -> list[Stored]:
        """Return everything that the store holds, the first to expire first.

        Nothing in it is changed. Raises `StoreUnavailableError`.
        """
        found = []
        async for key in self._store.keys(_KIND):
            stored = await self._look(key)
            if stored is not None:
                found.append(stored)
        return sorted(found, key=lambda each: (each.seconds is None, each.seconds or 0))

    async def drop(self, name: str) -> None:
        """Drop the token and the waiting codes of a name.

        A manager that needs the token acquires a new one. A record that cannot be read
        is deleted. Raises `StoreUnavailableError`.
        """
        key, done = _KIND + name, False
        while not done:
            found = await self._store.read(key)
            if found.value is None:
                return
            try:
                record = records.decode(key, found.value, ScopeRecord)
                record = records.forget(record, found.now)
            except UnreadableRecordError:
                record = ScopeRecord()
            ttl = record.ttl(found.now)
            value = records.encode(key, record) if ttl > 0 else None
            done = await self._store.write(
                key, value, if_etag=found.etag, ttl=max(ttl, 1.0)
            )

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

    async def _look(self, key: str) -> Stored | None:
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
