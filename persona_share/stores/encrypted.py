"""A wrapper that lets a store see neither tokens nor codes nor what they are for."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, cast, runtime_checkable

import attrs

from persona_share._policy.election import Carried, Elected, Held, Lead, Look
from persona_share._protocol.sealed import NONCE, Head, RingKey, Sealed
from persona_share.errors import ConfigurationError, StoreUnavailableError, UsageError
from persona_share.model.secret import Secret
from persona_share.ports import BrowsableStore, Runtime, TokenStore


_LOG: Final = logging.getLogger("persona_share")
#: So often what cannot be opened is passed over before the store is given up.
_ATTEMPTS: Final = 4
#: A token that no election brought gets its generation from the store, too late to be
#: sealed with it. It is bound to its name and its lifetime.
_ADOPTED: Final = "adopted"


@runtime_checkable
class _WantsSealed(Protocol):
    """A store that wants to know that all it gets is sealed."""

    def expect_sealed(self) -> None:
        """Take note of it."""
        ...


class Encrypted:
    """Seals everything before a store gets it, with AES-256-GCM.

    ``keys`` are 32 random bytes each, or their URL-safe base64. The first one seals,
    any of them opens: to renew a key, put the new one before it, and take the old one
    away when the tokens of its time are over. Names in the store follow from ``names``,
    a key of its own that is never renewed, or else from the last key; where they
    change, every scope costs one new code. What cannot be opened counts as missing and
    is logged once.

    Raises:
        ConfigurationError: there is no key, or one is not of 32 bytes.
        ImportError: the extra ``crypto`` is not installed.
    """

    def __init__(
        self,
        store: TokenStore,
        keys: Iterable[bytes | str | Secret],
        *,
        names: bytes | str | Secret | None = None,
    ) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415 - extra
                AESGCM,
            )
        except ModuleNotFoundError:
            message = "Encrypted needs cryptography: install persona-share[crypto]"
            raise ImportError(message) from None
        ring = [RingKey.of(key) for key in keys]
        if not ring:
            message = "Encrypted needs at least one key"
            raise ConfigurationError(message)
        self._store = store
        self._first = ring[0]
        self._names = ring[-1] if names is None else RingKey.of(names)
        self._ciphers: dict[bytes, AESGCM] = {
            each.id: AESGCM(each.seal) for each in ring
        }
        self._runtime: Runtime | None = None
        self._warned: set[str] = set()
        if isinstance(store, _WantsSealed):
            store.expect_sealed()

    async def open(self, runtime: Runtime) -> None:
        """Open the store."""
        self._runtime = self._runtime or runtime
        await self._store.open(runtime)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def elect(
        self, key: str, owner: str, *, newer_than: int, at_least: float
    ) -> Elected:
        """Answer a usable token, or who brings one."""
        name = self._name(key)
        for _ in range(_ATTEMPTS):
            answer = await self._store.elect(
                name, owner, newer_than=newer_than, at_least=at_least
            )
            if isinstance(answer, Held):
                held = self._opened_token(name, answer)
                if held is not None and held.remaining > at_least:
                    return held
                newer_than = answer.generation
            elif isinstance(answer, Lead) and answer.ticket is not None:
                opened = self._opened_ticket(name, answer.ticket)
                if opened is not None:
                    return Lead(answer.fence, opened)
                # Nobody can go on with it: it only stands in the way.
                await self._store.fail(
                    name, owner, answer.fence, reason="", pause=0, keep_ticket=False
                )
            else:
                return answer
        message = "the store goes on giving what cannot be opened"
        raise StoreUnavailableError(message)

    async def attach(
        self, key: str, owner: str, fence: int, ticket: Carried
    ) -> Carried | None:
        """Put a code under the leader's flight; answer the one that is to be used."""
        name = self._name(key)
        sealed = self._sealed_ticket(name, ticket)
        used = await self._store.attach(name, owner, fence, sealed)
        if used is None or used.id == sealed.id:
            return used and attrs.evolve(used, id=ticket.id, blob=ticket.blob)
        return self._opened_ticket(name, used)

    async def mark_sent(
        self, key: str, owner: str, fence: int, epoch: int
    ) -> float | None:
        """Note the first send under this epoch; answer how long ago that was."""
        return await self._store.mark_sent(self._name(key), owner, fence, epoch)

    async def publish(
        self, key: str, owner: str, fence: int, *, remaining: float, blob: bytes
    ) -> Held | None:
        """Take a new token in, or answer the newer one that is there."""
        name = self._name(key)
        sealed = self._seal(blob, remaining, "token", name, str(fence))
        newer = await self._store.publish(
            name, owner, fence, remaining=remaining, blob=sealed
        )
        return newer and self._opened_token(name, newer)

    async def adopt(self, key: str, *, remaining: float, blob: bytes) -> int:
        """Take in a token that no election brought; answer its generation or 0."""
        name = self._name(key)
        sealed = self._seal(blob, remaining, "token", name, _ADOPTED)
        return await self._store.adopt(name, remaining=remaining, blob=sealed)

    async def fail(
        self,
        key: str,
        owner: str,
        fence: int,
        *,
        reason: str,
        pause: float,
        keep_ticket: bool,
    ) -> None:
        """Give the lead back after a failure that all respect for a while."""
        await self._store.fail(
            self._name(key),
            owner,
            fence,
            reason=reason,
            pause=pause,
            keep_ticket=keep_ticket,
        )

    async def invalidate(self, key: str, generation: int) -> None:
        """Never answer this generation again."""
        await self._store.invalidate(self._name(key), generation)

    async def renew(self, key: str, owner: str, fence: int) -> bool:
        """Keep the lead a while longer; False when it is lost."""
        return await self._store.renew(self._name(key), owner, fence)

    async def offer(self, key: str, ticket: Carried) -> bool:
        """Queue a pushed code; False when it is known, over, or too many wait."""
        name = self._name(key)
        return await self._store.offer(name, self._sealed_ticket(name, ticket))

    async def take(self, key: str) -> Carried | None:
        """Take the waiting code that ends first, of those that can be opened."""
        name = self._name(key)
        while (taken := await self._store.take(name)) is not None:
            opened = self._opened_ticket(name, taken)
            if opened is not None:
                return opened
        return None

    async def forget(self, key: str) -> None:
        """Drop everything of this key but its fence."""
        await self._store.forget(self._name(key))

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds."""
        await self._store.news(self._name(key), seconds)

    # ── Looking after it ────────────────────────────────────────────────────────

    async def names(self) -> Sequence[str]:
        """Answer every name, as the store inside keeps it."""
        return await self._browsable().names()

    async def look(self, name: str) -> Look:
        """Answer how a name stands, its token opened where that can be done."""
        found = await self._browsable().look(name)
        held = None if found.held is None else self._opened_token(name, found.held)
        return attrs.evolve(found, held=held or found.held)

    async def drop(self, name: str) -> None:
        """Drop everything of a name but its fence."""
        await self._store.forget(name)

    def _browsable(self) -> BrowsableStore:
        if not hasattr(self._store, "names"):
            message = "the store inside cannot be listed"
            raise UsageError(message)
        return cast("BrowsableStore", self._store)

    # ── Sealing ─────────────────────────────────────────────────────────────────

    def _name(self, key: str) -> str:
        return self._names.name("key", key)

    def _sealed_ticket(self, name: str, ticket: Carried) -> Carried:
        hidden = self._names.name("ticket", ticket.id)
        # The id goes along inside, as nobody could find it again from its name.
        told = len(ticket.id.encode()).to_bytes(2, "big") + ticket.id.encode()
        blob = self._seal(told + ticket.blob, ticket.seconds, "ticket", name, hidden)
        return attrs.evolve(ticket, id=hidden, blob=blob)

    def _opened_ticket(self, name: str, ticket: Carried) -> Carried | None:
        opened = self._open(ticket.blob, "ticket", name, ticket.id)
        if opened is None:
            self._warn("a code")
            return None
        told, lifetime = opened
        length = int.from_bytes(told[:2], "big")
        return attrs.evolve(
            ticket,
            id=told[2 : 2 + length].decode(),
            seconds=min(ticket.seconds, lifetime),
            blob=told[2 + length :],
        )

    def _opened_token(self, name: str, held: Held) -> Held | None:
        # Which of the two it is was sealed with it, and cannot be chosen later.
        for whose in (str(held.generation), _ADOPTED):
            opened = self._open(held.blob, "token", name, whose)
            if opened is not None:
                blob, lifetime = opened
                return Held(held.generation, min(held.remaining, lifetime), blob)
        self._warn("a token")
        return None

    def _seal(self, blob: bytes, lifetime: float, *whose: str) -> bytes:
        if self._runtime is None:
            message = "the store was not opened; a manager does that"
            raise RuntimeError(message)
        head, nonce = Head(self._first.id, lifetime), self._runtime.new_bytes(NONCE)
        cipher = self._ciphers[self._first.id]
        return head.write(nonce, cipher.encrypt(nonce, blob, head.about(*whose)))

    def _open(self, blob: bytes, *whose: str) -> tuple[bytes, float] | None:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - extra

        sealed = Sealed.read(blob)
        cipher = None if sealed is None else self._ciphers.get(sealed.head.key_id)
        if sealed is None or cipher is None:
            return None
        about = sealed.head.about(*whose)
        try:
            told = cipher.decrypt(sealed.nonce, sealed.ciphertext, about)
        except InvalidTag:
            return None
        return told, sealed.head.lifetime

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _LOG.warning("%s in the token store cannot be opened: wrong key?", what)

    def __repr__(self) -> str:
        return f"<Encrypted {self._store!r}>"
