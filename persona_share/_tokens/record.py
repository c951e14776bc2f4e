"""The shared records of scopes and codes, and every transition of them.

There is one record for each scope and one for each authorization code. All managers
that share a store change them only by compare-and-swap, through the pure functions in
this module: each returns the new record for a record and the store's time. Every
transition is idempotent for its owner, so a write whose response was lost is settled by
reading again.

Times are seconds of the store's clock. ``owner`` is a random id of one acquisition.
"""

import enum
import hashlib
import hmac
import zlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Final, Self, TypeVar

import attrs
import orjson
from cattrs.preconf.orjson import make_converter

from persona_share.model.secret import Secret


#: A lease lasts this long unless it is extended, in seconds.
LEASE: Final = 15.0
#: Leases in use are extended this often, in seconds.
EXTEND_EVERY: Final = 5.0
#: At most this many pushed codes wait for one scope.
MAX_PUSHED: Final = 8
#: At most this many codes wait for one scope; pulled codes are always accepted.
MAX_QUEUED: Final = 16
#: At most this many rejected fingerprints are remembered for one scope.
MAX_REJECTED: Final = 64
#: After this many rejections within the window, the next one backs the scope off.
MAX_REJECTIONS: Final = 2
REJECTION_WINDOW: Final = 600.0
#: A code that was never sent must have this much lifetime left, or a tenth of its lifetime.
MIN_CODE_LIFE: Final = 40.0
#: A back-off of one reason never exceeds this many seconds.
MAX_BACKOFF: Final = {
    "outage": 60.0,
    "source": 300.0,
    "refused": 300.0,
    "short": 300.0,
    "codes": 300.0,
    "rejections": REJECTION_WINDOW,
}
#: These reasons block a scope even while a code is pending.
BLOCKING: Final = frozenset({"outage", "rejections"})
#: A code in doubt is replayed for as long as its token could be alive.
TOKEN_LIFE: Final = 3600.0
#: A code that may have been sent is kept this long after it was received.
KEEP_CODE: Final = TOKEN_LIFE + 600.0
_COUNT_WINDOW: Final = 300.0
_MAX_COUNT: Final = 16
_VERSION: Final = b"persona-share-2"


class UnreadableRecordError(ValueError):
    """A record is damaged, or a later version of this library wrote it."""


class Timed:
    """A value of which the fields in ``times`` are instants of one clock."""

    __slots__ = ()
    times: ClassVar[tuple[str, ...]] = ()

    def moved(self, seconds: float) -> Self:
        """Return the value with its times on another clock."""
        later = {name: _later(getattr(self, name), seconds) for name in self.times}
        return attrs.evolve(self, **later)  # type: ignore[misc]  # each is an attrs class


def _later(value: Any, seconds: float) -> Any:
    if isinstance(value, tuple):
        return tuple([_later(each, seconds) for each in value])
    if isinstance(value, Timed):
        return value.moved(seconds)
    return None if value is None else value + seconds


@attrs.frozen
class StoredCode(Timed):
    """An authorization code (or a signed assertion) that waits or is being sent.

    ``odd_expiry``: it came with an expiry that contradicts what a code can live.
    """

    times: ClassVar[tuple[str, ...]] = ("received", "deadline")

    id: str
    secret: Secret = attrs.field(repr=False)
    received: float
    deadline: float
    machine: bool = False
    set_aside: bool = False
    odd_expiry: bool = False


@attrs.frozen
class StoredToken(Timed):
    """An access token, when it expires, and the code that it came from."""

    times: ClassVar[tuple[str, ...]] = ("expires", "refresh_at")

    fingerprint: str
    secret: Secret = attrs.field(repr=False)
    scope: str = attrs.field(repr=False)
    code_id: str
    expires: float
    lifetime: float
    refresh_at: float


@attrs.frozen
class Lease(Timed):
    """The right to acquire the token of a scope, or to send one code."""

    times: ClassVar[tuple[str, ...]] = ("until",)
    max_duration: ClassVar[float] = LEASE

    owner: str
    until: float


@attrs.frozen
class Backoff(Timed):
    """Why no manager tries this scope now, and until when."""

    times: ClassVar[tuple[str, ...]] = ("until",)

    until: float
    reason: str
    count: int = 1
    detail: str = attrs.field(default="", repr=False)

    @property
    def max_duration(self) -> float:
        """The number of seconds that it may last."""
        return MAX_BACKOFF.get(self.reason, MAX_BACKOFF["outage"])


@attrs.frozen
class RejectedToken(Timed):
    """The fingerprint of a token that the service refused, kept until it expires."""

    times: ClassVar[tuple[str, ...]] = ("until",)

    fingerprint: str
    until: float


@attrs.frozen
class ScopeRecord(Timed):
    """All that is shared about one scope."""

    kind: ClassVar[str] = "scope"
    times: ClassVar[tuple[str, ...]] = ("token", "pending", "lease", "queue", "backoff")

    token: StoredToken | None = None
    pending: StoredCode | None = None
    lease: Lease | None = None
    queue: tuple[StoredCode, ...] = ()
    backoff: Backoff | None = None
    rejected: tuple[RejectedToken, ...] = ()
    rejection_times: tuple[float, ...] = ()

    @property
    def codes(self) -> tuple[StoredCode, ...]:
        """The pending code and those that wait behind it."""
        return self.queue if self.pending is None else (self.pending, *self.queue)

    def is_rejected(self, fingerprint: str) -> bool:
        """Return whether the service refused this token."""
        return fingerprint in [each.fingerprint for each in self.rejected]

    def ttl(self, now: float) -> float:
        """Return for how many seconds the record is of any use, 0 for an empty one."""
        ends = [each.until for each in self.rejected]
        ends += [each + REJECTION_WINDOW for each in self.rejection_times]
        ends += [max(each.received + KEEP_CODE, each.deadline) for each in self.codes]
        if self.token is not None:
            ends.append(self.token.expires)
        if self.lease is not None:
            ends.append(self.lease.until)
        if self.backoff is not None:
            ends.append(self.backoff.until + _COUNT_WINDOW)
        return max(0.0, max(ends, default=now) - now)


class CodeState(enum.Enum):
    """The state of a code; it is being sent while its record has a lease."""

    NEW = "new"
    REDEEMED = "redeemed"
    SPENT = "spent"


@attrs.frozen
class CodeRecord(Timed):
    """All that is shared about one code.

    ``first_sent`` holds the first send under each idempotency key, of which there are
    two at most. ``in_doubt`` is False after a response that shows that the code was not
    consumed. The token is the one that the code was exchanged for, under ``scope``; a
    record in this process leaves it to the cache.
    """

    kind: ClassVar[str] = "code"
    times: ClassVar[tuple[str, ...]] = ("lease", "first_sent", "token")

    state: CodeState = CodeState.NEW
    lease: Lease | None = None
    scope: str = attrs.field(default="", repr=False)
    reason: str = ""
    first_sent: tuple[float, ...] = ()
    token: StoredToken | None = None
    in_doubt: bool = True

    @property
    def epoch(self) -> int:
        """The number of the idempotency key to send under."""
        return max(0, len(self.first_sent) - 1)

    def ttl(self, now: float) -> float:
        """Return for how long the record is kept: ten minutes more than its token."""
        if self.token is None:
            return KEEP_CODE
        return max(0.0, self.token.expires - now) + 600.0


Record = TypeVar("Record", ScopeRecord, CodeRecord)


@attrs.frozen
class Wish(Timed):
    """The need of a caller: a token better than the one it has.

    ``expires`` and ``fingerprint`` are those of its token; both are None without one.
    """

    times: ClassVar[tuple[str, ...]] = ("expires",)

    expires: float | None = None
    fingerprint: str | None = None
    guard: float = 10.0

    def fulfilled_by(self, record: ScopeRecord, now: float) -> StoredToken | None:
        """Return the record's token if it is usable and lives longer by L/20."""
        token = record.token
        if (
            token is None
            or token.expires - min(self.guard, token.lifetime / 20) <= now
            or token.fingerprint == self.fingerprint
            or record.is_rejected(token.fingerprint)
        ):
            return None
        if self.expires is None or token.expires > self.expires + token.lifetime / 20:
            return token
        return None


# ── Leases, of scopes and of codes ───────────────────────────────────────────────


def owns(record: ScopeRecord | CodeRecord, owner: str) -> bool:
    """Return whether this owner has the lease, valid or not."""
    return record.lease is not None and record.lease.owner == owner


def is_busy(record: ScopeRecord | CodeRecord, now: float, owner: str) -> bool:
    """Return whether another owner is at work."""
    lease = record.lease
    return lease is not None and lease.owner != owner and lease.until > now


def extend(record: Record, now: float, owner: str) -> Record:
    """Extend our lease to 15 s from now; a lost one stays lost."""
    if not owns(record, owner):
        return record
    return attrs.evolve(record, lease=Lease(owner, now + LEASE))


# ── Scope records ────────────────────────────────────────────────────────────────


def acquire(
    record: ScopeRecord, now: float, owner: str, wish: Wish, *, retry: bool = True
) -> ScopeRecord:
    """Acquire the lease, unless the wish is fulfilled, another owner has it, or a back-off runs.

    The first queued code becomes pending. With ``retry`` that may be one that was set
    aside.
    """
    if is_busy(record, now, owner):
        return record
    new, backoff = _with_next(record, retry=retry), record.backoff
    blocked = wish.fulfilled_by(record, now) is not None
    if backoff is not None and backoff.until > now:
        blocked |= new.pending is None or backoff.reason in BLOCKING
    if blocked:
        return attrs.evolve(record, lease=None)
    return attrs.evolve(new, lease=Lease(owner, now + LEASE))


def hold(record: ScopeRecord, now: float, owner: str, code: StoredCode) -> ScopeRecord:
    """Put a code into the record; a pulled code is always accepted.

    Without the lease, or while another code is pending, it waits in the queue.
    """
    if owns(record, owner) and record.pending is None:
        return attrs.evolve(_without(record, code.id), pending=code)
    if code.id in [each.id for each in record.codes]:
        return record
    live = [each for each in record.queue if each.deadline > now or not each.set_aside]
    queue = [*live, code]
    queue.sort(key=lambda each: (not each.set_aside, each.deadline, each.id))
    return attrs.evolve(record, queue=_by_deadline(queue[-MAX_QUEUED:]))


def offer(
    record: ScopeRecord, now: float, code: StoredCode, state: CodeState
) -> ScopeRecord:
    """Queue a pushed code that is neither known nor used, if fewer than eight wait."""
    live = [each for each in record.queue if each.deadline > now]
    if state is not CodeState.NEW or len(live) >= MAX_PUSHED:
        return record
    return hold(attrs.evolve(record, queue=tuple(live)), now, "", code)


def drop_code(record: ScopeRecord, _now: float, code_id: str) -> ScopeRecord:
    """Remove a spent code; the next one that was not set aside becomes pending."""
    return _with_next(_without(record, code_id), retry=False)


def set_aside(record: ScopeRecord, _now: float, code_id: str) -> ScopeRecord:
    """Put a code behind all others, marked, so that it never blocks the scope."""
    marked = [
        attrs.evolve(each, set_aside=True)
        for each in record.codes
        if each.id == code_id
    ]
    record = _without(record, code_id)
    record = attrs.evolve(record, queue=(*record.queue, *marked))
    return _with_next(record, retry=False)


def publish(
    record: ScopeRecord, _now: float, owner: str, token: StoredToken
) -> ScopeRecord:
    """File a token; its code leaves the record and our lease ends in every case."""
    current, backoff = record.token, record.backoff
    if record.is_rejected(token.fingerprint):
        stays = current
    elif current is not None and current.fingerprint == token.fingerprint:
        stays = min(current, token, key=lambda each: each.expires)
    elif current is not None and current.expires > token.expires:
        stays = current
    else:
        stays = token
        if backoff is not None and backoff.reason != "rejections":
            backoff = None
    lease = None if owns(record, owner) else record.lease
    record = _without(record, token.code_id)
    return attrs.evolve(record, token=stays, lease=lease, backoff=backoff)


def release(
    record: ScopeRecord,
    now: float,
    owner: str,
    *,
    reason: str = "",
    seconds: float = 0.0,
    detail: str = "",
) -> ScopeRecord:
    """End our lease; with a reason the scope backs off for all managers.

    ``seconds`` doubles with each failure of the same reason within five minutes.
    """
    if not owns(record, owner):
        return record
    backoff = record.backoff
    if reason:
        same, count = backoff is not None and backoff.reason == reason, 1
        if same and backoff is not None and now - backoff.until < _COUNT_WINDOW:
            count = min(backoff.count + 1, _MAX_COUNT)
        pause = min(MAX_BACKOFF[reason], max(0.0, seconds) * 2.0 ** (count - 1))
        until = now + pause
        if backoff is None or same or backoff.until <= until:
            backoff = Backoff(until, reason, count, detail)
    return attrs.evolve(record, lease=None, backoff=backoff)


def reject(record: ScopeRecord, now: float, rejected: RejectedToken) -> ScopeRecord:
    """Never use a token again; the third time in ten minutes the scope backs off."""
    if record.token is not None and record.token.fingerprint == rejected.fingerprint:
        record = attrs.evolve(record, token=None)
    if record.is_rejected(rejected.fingerprint):
        return record
    times = [
        each for each in record.rejection_times if abs(now - each) < REJECTION_WINDOW
    ]
    kept = sorted([*record.rejected, rejected], key=lambda each: each.until)
    backoff = record.backoff
    if len(times) >= MAX_REJECTIONS:
        backoff = Backoff(min(times) + REJECTION_WINDOW, "rejections")
    return attrs.evolve(
        record,
        rejected=tuple(kept[-MAX_REJECTED:]),
        rejection_times=(*times, now)[-(MAX_REJECTIONS + 1) :],
        backoff=backoff,
    )


def unchanged(record: Record, _now: float) -> Record:
    """Return the record unchanged: a transition for those who only read."""
    return record


def forget(record: ScopeRecord, _now: float) -> ScopeRecord:
    """Drop the token, the waiting codes and a back-off, unless it is for rejections."""
    backoff = record.backoff
    if backoff is not None and backoff.reason != "rejections":
        backoff = None  # that one protects the service
    return attrs.evolve(record, token=None, queue=(), backoff=backoff)


# ── Code records ─────────────────────────────────────────────────────────────────


def begin_send(
    record: CodeRecord,
    now: float,
    owner: str,
    code: StoredCode,
    known: CodeRecord,
    *,
    epoch: int = 0,
    inherited: bool = False,
    unsure: bool = False,
    budget: float = 0.0,
) -> CodeRecord:
    """Acquire the right to send a code, and record when it is sent for the first time.

    The code is spent instead if too little is left of its life, or of its token's.
    ``known`` holds the first sends that this manager knows of. An inherited code
    without one counts from when it was received, as does any code while this manager
    is ``unsure``: another process may have sent it unseen.
    """
    if record.state is not CodeState.NEW or is_busy(record, now, owner):
        return record
    record = merge_first_sent(record, now, known)
    min_life = min(MIN_CODE_LIFE, (code.deadline - code.received) / 10)
    never_sent = not (record.first_sent or inherited)
    late = code.deadline - now < min_life and (never_sent or not record.in_doubt)
    unseen = inherited or unsure
    sent = record.first_sent or (code.received if unseen else now,)
    if unsure:
        sent = (min(sent[0], code.received), *sent[1:])
    if epoch > record.epoch:
        sent = (*sent, sent[0] if unseen else now)
    if late or now > sent[-1] + TOKEN_LIFE - min(budget, TOKEN_LIFE / 2):
        return attrs.evolve(record, state=CodeState.SPENT, reason="expired", lease=None)
    return attrs.evolve(
        record, lease=Lease(owner, now + LEASE), first_sent=sent, in_doubt=True
    )


def end_send(
    record: CodeRecord, _now: float, owner: str, *, in_doubt: bool
) -> CodeRecord:
    """Give up the right to send; ``in_doubt``: the code may have been consumed."""
    if not owns(record, owner):
        return record
    return attrs.evolve(record, lease=None, in_doubt=in_doubt)


def spend(record: CodeRecord, now: float, owner: str) -> CodeRecord:
    """Mark a code as refused, unless it was exchanged or another owner sends it."""
    if record.state is CodeState.REDEEMED or is_busy(record, now, owner):
        return record
    return attrs.evolve(record, state=CodeState.SPENT, reason="refused", lease=None)


def redeem(
    record: CodeRecord, _now: float, scope: str, token: StoredToken
) -> CodeRecord:
    """Record the token that a code was exchanged for, before the scope record is written."""
    if record.state is CodeState.REDEEMED:
        known = record.token
        if known is None or token.expires >= known.expires:
            return record
        return attrs.evolve(record, token=token)
    return CodeRecord(CodeState.REDEEMED, scope=scope, token=token)


def merge_first_sent(record: CodeRecord, _now: float, known: CodeRecord) -> CodeRecord:
    """Add first sends that happened while the store was away; the earliest counts."""
    longer, shorter = record.first_sent, known.first_sent
    if len(longer) < len(shorter):
        longer, shorter = shorter, longer
    earliest = [min(pair) for pair in zip(longer, shorter, strict=False)]
    sent = (*earliest, *longer[len(shorter) :])
    return (
        record if sent == record.first_sent else attrs.evolve(record, first_sent=sent)
    )


# ── Parts of the transitions ─────────────────────────────────────────────────────


def _without(record: ScopeRecord, code_id: str) -> ScopeRecord:
    pending = record.pending
    return attrs.evolve(
        record,
        pending=None if pending is not None and pending.id == code_id else pending,
        queue=tuple([each for each in record.queue if each.id != code_id]),
    )


def _by_deadline(codes: Iterable[StoredCode]) -> tuple[StoredCode, ...]:
    return tuple(
        sorted(codes, key=lambda each: (each.set_aside, each.deadline, each.id))
    )


def _with_next(record: ScopeRecord, *, retry: bool) -> ScopeRecord:
    """Return the record with its first queued code pending, if none is."""
    if record.pending is not None or not record.queue:
        return record
    first, *rest = _by_deadline(record.queue)
    if first.set_aside and not retry:
        return record
    return attrs.evolve(record, pending=first, queue=tuple(rest))


# ── Names and bytes ──────────────────────────────────────────────────────────────


def bounded(record: Record, now: float, ages: Mapping[str, float]) -> Record:
    """Return the record with every time within what it can be at this instant.

    A store's clock may step and its content is input: no lease lasts over 15 s, no
    back-off over its bound, and no token longer than its own lifetime. ``ages`` says
    for how long the reader has seen the record's lease and back-off unchanged.
    """
    changes: dict[str, Any] = {}
    for name in ("lease", "backoff"):
        limit: Lease | Backoff | None = getattr(record, name, None)
        if limit is not None:
            left = max(0.0, limit.max_duration - ages.get(name, 0.0))
            until = min(limit.until, now + left)
            changes[name] = attrs.evolve(limit, until=until)
    token = record.token
    if token is not None and token.expires > now + token.lifetime:
        excess = token.expires - now - token.lifetime
        changes["token"] = token.moved(-excess)
    return attrs.evolve(record, **changes)


def _digest(domain: bytes, secret: Secret) -> str:
    data = secret.reveal().encode(errors="surrogatepass")
    return hmac.digest(domain, data, hashlib.sha256).hex()[:32]


#: The id of a code and the fingerprint of a token are hashes that reveal nothing of them.
code_id: Final = partial(_digest, b"persona-share/code-id")
fingerprint: Final = partial(_digest, b"persona-share/token-fingerprint")

_CONVERTER: Final = make_converter(
    detailed_validation=False, forbid_extra_keys=True, omit_if_default=True
)
_CONVERTER.register_unstructure_hook(Secret, Secret.reveal)
_CONVERTER.register_structure_hook(Secret, lambda value, _: Secret(value))


def encode(key: str, record: ScopeRecord | CodeRecord) -> bytes:
    """Return the bytes of a record.

    They begin with a version and a checksum over key and content, so damage, a record
    under another key and a record of a later version are all noticed.
    """
    content = orjson.dumps(_CONVERTER.unstructure(record))
    return b"%b %08x %b" % (_VERSION, _checksum(key, content), content)


def decode(key: str, value: bytes | None, kind: type[Record]) -> Record:
    """Return the record; raises `UnreadableRecordError` for anything else."""
    if value is None:
        return kind()
    version, _, rest = value.partition(b" ")
    checksum, _, content = rest.partition(b" ")
    if version != _VERSION:
        message = "the record was written by another version"
        raise UnreadableRecordError(message)
    if checksum != b"%08x" % _checksum(key, content):
        message = "the record is damaged"
        raise UnreadableRecordError(message)
    try:
        return _CONVERTER.structure(orjson.loads(content), kind)
    except Exception:  # noqa: BLE001  # the reason may quote a secret
        message = "the record has fields that this version does not know"
        raise UnreadableRecordError(message) from None


def _checksum(key: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key.encode()))
