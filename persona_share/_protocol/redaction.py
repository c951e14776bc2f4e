"""What may be shown: text of the service, ids, and names that reveal nothing."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

from persona_share.model.secret import Secret


#: Server text is cut to this many characters.
LIMIT: Final = 500
MASK: Final = "<masked>"

#: The headers whose values may be logged; of all others only the name.
SHOWN_HEADERS: Final = frozenset(
    {
        "content-length",
        "content-type",
        "date",
        "persona-version",
        "quota-limit",
        "quota-remaining",
        "quota-reset",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "request-id",
        "retry-after",
    }
)

# A shorter text is no secret, and taking it out would tear holes into every sentence.
_SHORTEST_SECRET: Final = 4
_SHOWN_OF_ID: Final = 4


def escaped(text: str, limit: int = LIMIT) -> str:
    """Return text without control characters, cut to so many characters."""
    head = text[:limit]
    if not head.isprintable():
        head = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in head)
    return head if len(text) <= limit and len(head) <= limit else f"{head[:limit]}…"


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return text without these secrets, plain or percent-encoded."""
    spellings = {
        spelling
        for secret in secrets
        if len(secret) >= _SHORTEST_SECRET
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as they may be logged; ``headers`` has lower-case names."""
    return {
        name: escaped(value) if name in SHOWN_HEADERS else MASK
        for name, value in headers.items()
    }


def shown_id(text: str | None) -> str | None:
    """Return an id from a response's header as it may be shown in full."""
    return escaped(text, 64) if text else None


def shortened(object_id: str) -> str:
    """Return an object's id as it may be logged: enough to recognize, not to use."""
    prefix, mark, rest = object_id.partition("_")
    if not mark:
        prefix, rest = "", object_id
    if len(rest) <= 2 * _SHOWN_OF_ID:  # hardly anything would be left to hide
        return escaped(f"{prefix}{mark}…")
    return escaped(f"{prefix}{mark}{rest[:_SHOWN_OF_ID]}…")


def fingerprint(key: bytes, secret: str) -> str:
    """Return six hexadecimal digits that distinguish secrets within one process."""
    return hmac.digest(key, secret.encode(errors="surrogatepass"), "sha256").hex()[:6]


# ── Names of store keys ───────────────────────────────────────────────────────


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
