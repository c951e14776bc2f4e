"""Text that may be shown: text of the service, ids, and names that reveal nothing."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from persona_share.model.secret import Secret


#: Server text is cut to this many characters.
LIMIT: Final = 500
MASK: Final = "<masked>"

# Shorter texts are not masked: they occur within ordinary words.
_MIN_SECRET: Final = 4


def escaped(text: str, limit: int = LIMIT) -> str:
    """Return text with control characters escaped, cut to ``limit`` characters."""
    head = text[:limit]
    if not head.isprintable():
        head = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in head)
    return head if len(text) <= limit and len(head) <= limit else f"{head[:limit]}…"


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return text with these secrets masked, plain or percent-encoded."""
    spellings = {
        spelling
        for secret in secrets
        if len(secret) >= _MIN_SECRET
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def shown_id(text: str | None) -> str | None:
    """Return an id from a response header, escaped and cut."""
    return escaped(text, 64) if text else None


# ── Names of store keys ───────────────────────────────────────────────────────


#: Part of every name; increase it when a name changes its meaning.
SCHEMA: Final = 1


def naming_secret(api_key: Secret) -> bytes:
    """Derive the secret for names from the API key (HKDF, RFC 5869)."""
    extracted = hmac.digest(b"persona-share", api_key.reveal().encode(), hashlib.sha256)
    return hmac.digest(extracted, b"store-names\x01", hashlib.sha256)


def name_of(secret: bytes, *parts: str) -> str:
    """Return the name of a key: the same in every process, revealing nothing.

    The parts are joined with their lengths, so that two lists of parts never collide.
    """
    joined = b"".join(
        len(part.encode()).to_bytes(4, "big") + part.encode()
        for part in (str(SCHEMA), *parts)
    )
    return hmac.digest(secret, joined, hashlib.sha256).hex()[:40]
