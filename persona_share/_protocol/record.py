"""Names of store keys: the same in every process, and they reveal nothing."""

import hashlib
import hmac
from typing import Final

from persona_share.model.secret import Secret


#: Part of every name; it changes if the same name would mean something else.
SCHEMA: Final = 1


def naming_secret(api_key: Secret) -> bytes:
    """Derive what names are made with from the API key (RFC 5869, one block)."""
    extracted = hmac.digest(b"persona-share", api_key.reveal().encode(), hashlib.sha256)
    return hmac.digest(extracted, b"store-names\x01", hashlib.sha256)


def name_of(secret: bytes, *parts: str) -> str:
    """Return the name of a key: the same in every process, and without information.

    The parts are joined with their lengths, so that no two lists of parts are alike.
    """
    told = b"".join(
        len(part.encode()).to_bytes(4, "big") + part.encode()
        for part in (str(SCHEMA), *parts)
    )
    return hmac.digest(secret, told, hashlib.sha256).hex()[:40]
