"""What a store holds, for whoever looks after it."""

from types import TracebackType
from typing import Self

import attrs

from persona_share._policy.election import Look
from persona_share._protocol.record import token_in
from persona_share._transport.runtime import system_runtime
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.ports import BrowsableStore


@attrs.frozen
class Stored:
    """What a store keeps under one name.

    ``scope`` and ``token`` are None where nothing is held, or where it is sealed;
    ``seconds`` is what the token has left. ``exchanging``: somebody brings a token now;
    ``paused``: how long nobody tries, in seconds; ``codes``: how many codes wait.
    """

    name: str
    generation: int | None
    seconds: float | None
    scope: Scope | None
    sealed: bool
    exchanging: bool
    paused: float
    codes: int
    token: Secret | None = attrs.field(repr=False)


class Browser:
    """An opened store, for whoever looks after it and needs no API key for that.

    Use it with ``async with``; it raises what opening the store raises.
    """

    def __init__(self, store: BrowsableStore) -> None:
        self._store = store

    async def list(self) -> list[Stored]:
        """Answer everything that the store holds, the first to end first.

        Nothing in it is changed. Raises `StoreUnavailableError`.
        """
        look = self._store.look
        found = [_stored(name, await look(name)) for name in await self._store.names()]
        return sorted(found, key=lambda each: (each.seconds is None, each.seconds or 0))

    async def drop(self, name: str) -> None:
        """Drop everything of a name; whoever needs its token brings a new one.

        Raises `StoreUnavailableError`.
        """
        await self._store.drop(name)

    async def __aenter__(self) -> Self:
        await self._store.open(system_runtime())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._store.close()


def _stored(name: str, look: Look) -> Stored:
    held = look.held
    record = None if held is None else token_in(held.blob)
    return Stored(
        name=name,
        generation=None if held is None else held.generation,
        seconds=None if held is None else held.remaining,
        scope=None if record is None else record.scope,
        sealed=held is not None and record is None,
        exchanging=look.leading > 0,
        paused=look.refused,
        codes=look.codes,
        token=None if record is None else record.token,
    )
