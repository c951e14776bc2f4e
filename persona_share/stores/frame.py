"""The checksum around each stored value.

A value is stored as ``format ‖ checksum ‖ value``. The checksum also covers where the
value stands, so one that was moved to another key is not believed. It detects accidents;
against somebody who computes checksums, use `Encrypted`.
"""

import hashlib
from typing import Final

from persona_share.errors import StoreCorruptError
from persona_share.stores.base import LARGEST_STORED
from persona_share.stores.names import joined


#: Format 2: 0.1 wrote something else.
_FORMAT: Final = b"ps2"
_DIGEST: Final = 16
_HEAD: Final = len(_FORMAT) + _DIGEST


def pack(value: bytes, *place: str) -> bytes:
    """Return the bytes to store for a value at this place."""
    return _FORMAT + _checksum(value, place) + value


def unpack(data: object, *place: str) -> bytes:
    """Return the value in stored bytes.

    Raises:
        StoreCorruptError: they are damaged, of another place, or of a later version.
    """
    if isinstance(data, bytes) and len(data) <= LARGEST_STORED + _HEAD:
        value = data[_HEAD:]
        if data[:_HEAD] == _FORMAT + _checksum(value, place):
            return value
    message = "a record is damaged, or was written by another version"
    raise StoreCorruptError(message)


def _checksum(value: bytes, place: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(joined(*place) + value, digest_size=_DIGEST).digest()
