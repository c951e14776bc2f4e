"""Encrypted: a wrapper that lets a store see neither tokens nor codes.

A sealed record is ``format ‖ key id ‖ nonce ‖ ciphertext`` (AES-256-GCM). The format
and the record's key are associated data, so a record that was moved to another key does
not open.
"""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from persona_share.errors import ConfigurationError, StoreCorruptError
from persona_share.model.secret import Secret
from persona_share.ports import Runtime, Store, Versioned
from persona_share.stores.access import GuardedStore, guarded, require_store
from persona_share.stores.base import LARGEST_VALUE


#: Format 2: 0.1 sealed single fields.
_FORMAT: Final = b"\x02"
_ID: Final = 4
_NONCE: Final = 12
_HEAD: Final = len(_FORMAT) + _ID + _NONCE
_KEY: Final = 32


class Encrypted(GuardedStore):
    """Seals every record before a store gets it, with AES-256-GCM.

    ``keys`` are 32 random bytes each, raw or as text in base64 or hexadecimal. The first
    one seals, any of them opens. To rotate: add the new key at the end everywhere, then
    move it to the front everywhere, then remove the old one when the tokens of its
    time have expired. Names of records do not depend on these keys.

    Raises:
        ConfigurationError: there is no key, or one is not of 32 bytes.
    """

    _largest = LARGEST_VALUE
    _is_guarded = False  # the wrapped store is

    def __init__(
        self,
        store: Store,
        keys: Iterable[bytes | str | Secret],
        *,
        runtime: Runtime | None = None,
    ) -> None:
        one = isinstance(keys, bytes | str | Secret)
        secrets = list(map(_hidden, [keys] if one else keys))
        del keys  # so that no frame of an error report shows one
        super().__init__(guarded(require_store(store, secrets=False), runtime), runtime)
        self.accepts_secrets = True
        self._ciphers = dict(map(_cipher, secrets))
        if not self._ciphers:
            message = "Encrypted needs at least one key"
            raise ConfigurationError(message)
        self._first = next(iter(self._ciphers))

    async def _read(self, key: str) -> Versioned:
        found = await self._store.read(key)
        if found.value is None:
            return found
        return Versioned(self._opened(found.value, key), found.etag, found.now)

    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        sealed = None if value is None else self._sealed(value, key)
        return await super()._write(key, sealed, etag, if_etag, ttl)

    def _sealed(self, value: bytes, key: str) -> bytes:
        nonce = self._runtime.new_bytes(_NONCE)
        cipher = self._ciphers[self._first]
        sealed = cipher.encrypt(nonce, value, _FORMAT + key.encode())
        return _FORMAT + self._first + nonce + sealed

    def _opened(self, sealed: bytes, key: str) -> bytes:
        if sealed[: len(_FORMAT)] != _FORMAT:
            message = "a record is not sealed, or by another version"
            raise StoreCorruptError(message)
        cipher = self._ciphers.get(sealed[len(_FORMAT) : len(_FORMAT) + _ID])
        if cipher is None:
            message = "a record is sealed with a key that is not among the keys here"
            raise StoreCorruptError(message, advice="Add that key to keys=[…].")
        with suppress(InvalidTag, ValueError):
            return cipher.decrypt(
                sealed[_HEAD - _NONCE : _HEAD], sealed[_HEAD:], _FORMAT + key.encode()
            )
        message = "a sealed record was altered, or moved to another key"
        raise StoreCorruptError(message)

    def __repr__(self) -> str:
        return f"<Encrypted {self._store!r}>"


def _hidden(key: object) -> Secret:
    """Return a key as a secret text; raw bytes become hexadecimal."""
    if isinstance(key, bytes):
        key = key.hex() if len(key) == _KEY else key.decode("ascii", "replace")
    return key if isinstance(key, Secret) else Secret(str(key))


def _cipher(key: Secret) -> tuple[bytes, AESGCM]:
    """Return the id of a key, and the cipher with it."""
    raw = _raw(key)
    return _derived(raw, b"id")[:_ID], AESGCM(_derived(raw, b"seal"))


def _raw(key: Secret) -> bytes:
    for read in (bytes.fromhex, _from_base64):
        with suppress(ValueError):
            if len(found := read(key.reveal().strip())) == _KEY:
                return found
    message = "a key of Encrypted must be 32 random bytes, or their base64 or hex"
    raise ConfigurationError(message)


def _from_base64(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _derived(raw: bytes, use: bytes) -> bytes:
    """Derive a key for one use (HKDF's expansion, RFC 5869, of one block)."""
    return hmac.digest(raw, b"persona-share/store/2/" + use + b"\x01", hashlib.sha256)
