"""Keys of a ring, and the form of what is sealed with them.

A sealed text is ``version ‖ key id ‖ lifetime ‖ nonce ‖ ciphertext``. All before the
nonce, and whose it is, are associated data: a text that was moved to another name or
generation, or whose lifetime was changed, does not open (token-manager §7.4).
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode
from binascii import Error as EncodingError
from typing import Final, Self

import attrs

from persona_share.errors import ConfigurationError
from persona_share.model.secret import Secret


NONCE: Final = 12
_VERSION: Final = b"\x01"
_ID: Final = 4
_LIFETIME: Final = 8
_HEAD: Final = len(_VERSION) + _ID + _LIFETIME
_KEY: Final = 32


@attrs.frozen
class RingKey:
    """What one key of a ring is used for; none of it shows the key itself."""

    id: bytes
    seal: bytes = attrs.field(repr=False)
    names: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, key: bytes | str | Secret) -> Self:
        """Derive from 32 bytes, or from their text in URL-safe base64."""
        given = _bytes(key)
        if len(given) != _KEY:
            message = "a key of Encrypted must be 32 random bytes, or their base64"
            raise ConfigurationError(message)
        return cls(
            id=_derived(given, b"id")[:_ID],
            seal=_derived(given, b"seal"),
            names=_derived(given, b"names"),
        )

    def name(self, *parts: str) -> str:
        """Answer a name that tells nothing, the same for the same parts."""
        return hmac.digest(self.names, _joined(*parts), hashlib.sha256).hex()[:40]


@attrs.frozen
class Head:
    """What stands in clear before a sealed text."""

    key_id: bytes
    lifetime: float

    @property
    def written(self) -> bytes:
        """The bytes of it."""
        lifetime = max(0, int(self.lifetime * 1_000)).to_bytes(_LIFETIME, "big")
        return _VERSION + self.key_id + lifetime

    def about(self, *whose: str) -> bytes:
        """Answer the associated data: the head, and whose text it is."""
        return self.written + _joined(*whose)

    def write(self, nonce: bytes, ciphertext: bytes) -> bytes:
        """Answer the whole sealed text."""
        return self.written + nonce + ciphertext


@attrs.frozen
class Sealed:
    """A sealed text, taken apart."""

    head: Head
    nonce: bytes
    ciphertext: bytes = attrs.field(repr=False)

    @classmethod
    def read(cls, data: bytes) -> Self | None:
        """Take a sealed text apart, or answer None for what is not one."""
        if len(data) <= _HEAD + NONCE or data[:1] != _VERSION:
            return None
        lifetime = int.from_bytes(data[1 + _ID : _HEAD], "big") / 1_000
        head = Head(data[1 : 1 + _ID], lifetime)
        return cls(head, data[_HEAD : _HEAD + NONCE], data[_HEAD + NONCE :])


def _bytes(key: bytes | str | Secret) -> bytes:
    if isinstance(key, bytes):
        return key
    text = key.reveal() if isinstance(key, Secret) else key
    try:
        return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except (EncodingError, ValueError):
        return b""


def _derived(key: bytes, use: bytes) -> bytes:
    """Derive a key for one use (HKDF's expansion, RFC 5869, of one block)."""
    return hmac.digest(key, b"persona-share/store/" + use + b"\x01", hashlib.sha256)


def _joined(*parts: str) -> bytes:
    """Join parts with their lengths: no two lists of parts are alike."""
    told = (part.encode() for part in parts)
    return b"".join(len(each).to_bytes(4, "big") + each for each in told)
