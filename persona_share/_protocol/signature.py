"""Signatures of webhooks: one or several ``t=<seconds>,v1=<hex>``.

``v1`` is HMAC-SHA-256 over ``t``, a dot, and the body's raw bytes (page "Webhook best
practices"). Every signature is compared with every secret, so that the duration does not
reveal which one matched.
"""

import enum
import hmac
import re
from collections.abc import Sequence
from typing import Final

import attrs


#: The limits exceed every header, secret rotation and event of the service.
MAX_HEADER_LENGTH: Final = 4 * 1024
MAX_SIGNATURES: Final = 8
MAX_BODY: Final = 5 * 1024 * 1024

_TIME: Final = re.compile(rb"[0-9]{1,12}")
_MAC: Final = re.compile(rb"[0-9A-Fa-f]{64}")
_PART: Final = re.compile(rb"([a-z][a-z0-9]{0,15})=([!-+\--<>-~]{1,256})")


class InvalidDelivery(enum.Enum):
    """The reason why a delivery is refused."""

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
    """A valid signature: the index of its secret, and its time in seconds since 1970."""

    secret: int
    signed_at: int


@attrs.frozen
class _Signature:
    time: bytes
    mac: bytes


def verify(
    header: str | bytes | None,
    body: bytes,
    secrets: Sequence[bytes],
    *,
    now: float,
    tolerance: float,
) -> Match | InvalidDelivery:
    """Return the matching signature, or the reason why the delivery is refused.

    ``now`` is the wall time in seconds since 1970; the time of a signature may differ
    by ``tolerance`` seconds.
    """
    if not header:
        return InvalidDelivery.MISSING
    if isinstance(header, bytes):  # ASGI headers are bytes
        header = header.decode("latin-1")
    given: object = header
    if not isinstance(given, str):
        return InvalidDelivery.MALFORMED
    if len(body) > MAX_BODY:
        return InvalidDelivery.BODY_TOO_LARGE
    sets = _parse(header)
    if isinstance(sets, InvalidDelivery):
        return sets
    matches = [
        Match(index, int(each.time))
        for each in sets
        for index, secret in enumerate(secrets)
        if hmac.compare_digest(mac(secret, each.time, body), each.mac)
    ]
    return (
        _within_tolerance(matches, now, tolerance)
        if matches
        else InvalidDelivery.MISMATCH
    )


def _within_tolerance(
    matches: list[Match], now: float, tolerance: float
) -> Match | InvalidDelivery:
    """Return the match with the nearest time, if it is within the tolerance."""
    nearest = min(matches, key=lambda each: abs(now - each.signed_at))
    if nearest.signed_at < now - tolerance:
        return InvalidDelivery.TOO_OLD
    if nearest.signed_at > now + tolerance:
        return InvalidDelivery.TOO_NEW
    return nearest


def mac(secret: bytes, time: bytes, body: bytes) -> bytes:
    """Return the MAC of a body signed at this time, in hex."""
    keyed = hmac.new(secret, time + b".", "sha256")
    keyed.update(body)
    return keyed.hexdigest().encode()


def signed(secret: bytes, time: int, body: bytes) -> str:
    """Return the signature header of a body signed at this time."""
    return f"t={time},v1={mac(secret, b'%d' % time, body).decode()}"


def _parse(header: str) -> list[_Signature] | InvalidDelivery:
    if len(header) > MAX_HEADER_LENGTH:
        return InvalidDelivery.HEADER_TOO_LONG
    if not header.isascii():
        return InvalidDelivery.MALFORMED
    texts = header.encode().split(b" ")
    if len(texts) > MAX_SIGNATURES:
        return InvalidDelivery.TOO_MANY_SETS
    sets = [_parse_one(text) for text in texts]
    found = [each for each in sets if each is not None]
    return found if len(found) == len(sets) else InvalidDelivery.MALFORMED


def _parse_one(text: bytes) -> _Signature | None:
    """Return a signature; it must have one ``t`` and one ``v1``, and may have more."""
    parts = [_PART.fullmatch(part) for part in text.split(b",")]
    pairs = [(part[1], part[2]) for part in parts if part is not None]
    values = dict(pairs)
    time, found = values.get(b"t", b""), values.get(b"v1", b"")
    if len(pairs) != len(parts) or len(values) != len(pairs):
        return None
    if not _TIME.fullmatch(time) or not _MAC.fullmatch(found):
        return None
    return _Signature(time, found.lower())
