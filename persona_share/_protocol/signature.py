"""The signature of a webhook, checked: ``t=<seconds>,v1=<hex>``, one set or several.

``v1`` is HMAC-SHA-256 over ``t``, a dot, and the body's raw bytes (page "Webhook best
practices"). Every set is tried with every secret and none is left out once one fits, so
that the time it takes tells nothing about which one did.
"""

import enum
import hmac
import re
from collections.abc import Sequence
from typing import Final

import attrs


#: More than any header, any rotation and any event of the service.
LONGEST_HEADER: Final = 4 * 1024
MOST_SETS: Final = 8
LARGEST_BODY: Final = 5 * 1024 * 1024

_TIME: Final = re.compile(rb"[0-9]{1,12}")
_MAC: Final = re.compile(rb"[0-9A-Fa-f]{64}")
_PART: Final = re.compile(rb"([a-z][a-z0-9]{0,15})=([!-+\--<>-~]{1,256})")


class Refusal(enum.Enum):
    """Why a delivery was refused."""

    MISSING = "missing"
    HEADER_TOO_LONG = "header_too_long"
    MALFORMED = "malformed"
    TOO_MANY_SETS = "too_many_sets"
    BODY_TOO_LARGE = "body_too_large"
    MISMATCH = "mismatch"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    NOT_AN_EVENT = "not_an_event"


@attrs.frozen
class Match:
    """A signature that holds: by which secret, and when it was signed, in seconds."""

    secret: int
    signed_at: int


@attrs.frozen
class _Set:
    time: bytes
    mac: bytes


def judged(
    header: str | bytes | None,
    body: bytes,
    secrets: Sequence[bytes],
    *,
    now: float,
    tolerance: float,
) -> Match | Refusal:
    """Return the secret that signed a body, or why the signature is refused.

    ``now`` is the wall time in seconds since 1970; a signature may lie ``tolerance``
    seconds before or after it.
    """
    if not header:
        return Refusal.MISSING
    if isinstance(header, bytes):  # as ASGI servers hand headers over
        header = header.decode("latin-1")
    given: object = header
    if not isinstance(given, str):
        return Refusal.MALFORMED
    if len(body) > LARGEST_BODY:
        return Refusal.BODY_TOO_LARGE
    sets = _sets(header)
    if isinstance(sets, Refusal):
        return sets
    matches = [
        Match(index, int(each.time))
        for each in sets
        for index, secret in enumerate(secrets)
        if hmac.compare_digest(mac(secret, each.time, body), each.mac)
    ]
    return _timely(matches, now, tolerance) if matches else Refusal.MISMATCH


def _timely(matches: list[Match], now: float, tolerance: float) -> Match | Refusal:
    """Return the match whose time is nearest, if that is near enough."""
    nearest = min(matches, key=lambda each: abs(now - each.signed_at))
    if nearest.signed_at < now - tolerance:
        return Refusal.TOO_OLD
    if nearest.signed_at > now + tolerance:
        return Refusal.TOO_NEW
    return nearest


def mac(secret: bytes, time: bytes, body: bytes) -> bytes:
    """Return the MAC of a body that is signed at this time, in hex."""
    keyed = hmac.new(secret, time + b".", "sha256")
    keyed.update(body)
    return keyed.hexdigest().encode()


def signed(secret: bytes, time: int, body: bytes) -> str:
    """Return the header with which the service would sign this body at this time."""
    return f"t={time},v1={mac(secret, b'%d' % time, body).decode()}"


def _sets(header: str) -> list[_Set] | Refusal:
    if len(header) > LONGEST_HEADER:
        return Refusal.HEADER_TOO_LONG
    if not header.isascii():
        return Refusal.MALFORMED
    texts = header.encode().split(b" ")
    if len(texts) > MOST_SETS:
        return Refusal.TOO_MANY_SETS
    sets = [_set(text) for text in texts]
    found = [each for each in sets if each is not None]
    return found if len(found) == len(sets) else Refusal.MALFORMED


def _set(text: bytes) -> _Set | None:
    """Return one set: exactly one ``t`` and one ``v1``, whatever else stands in it."""
    parts = [_PART.fullmatch(part) for part in text.split(b",")]
    pairs = [(part[1], part[2]) for part in parts if part is not None]
    values = dict(pairs)
    time, found = values.get(b"t", b""), values.get(b"v1", b"")
    if len(pairs) != len(parts) or len(values) != len(pairs):
        return None
    if not _TIME.fullmatch(time) or not _MAC.fullmatch(found):
        return None
    return _Set(time, found.lower())
