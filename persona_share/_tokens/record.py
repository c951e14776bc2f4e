"""The shared records of scopes and codes, and every transition of them.

There are two kinds of records: one per scope and one per authorization code. All
managers that share a store change them only by compare-and-swap, through the pure
functions in this module: each takes a record and the store's time and returns the
new record and an answer. Every transition is idempotent for its owner, so a write
whose response was lost is settled by reading again.

Times are seconds of the store's clock. ``owner`` is a random id of one acquisition.
"""

import enum
import hashlib
import hmac
import zlib
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

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
#: A code that was never sent must have this much life left, or a tenth of its own.
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
#: A code that may have been sent is kept this long after it was received: its token
#: may live for an hour, and an answer may be replayed for as long.
KEEP_CODE: Final = 3600.0 + 600.0
_COUNT_WINDOW: Final = 300.0
_MAX_COUNT: Final = 16
_VERSION: Final = b"persona-share-2"


class UnreadableRecordError(ValueError):
    """A record is damaged, or a later version of this library wrote it."""


@attrs.frozen
class StoredCode:
    """An authorization code (or a signed assertion) that waits or is being sent.

    ``odd_expiry``: it came with an expiry that contradicts what a code can live.
    """

    id: str
    secret: Secret = attrs.field(repr=False)
    received: float
    deadline: float
    machine: bool = False
    set_aside: bool = False
    odd_expiry: bool = False

    @property
    def min_life(self) -> float:
        """How much life the code needs for its first send, in seconds."""
        return min(MIN_CODE_LIFE, (self.deadline - self.received) / 10)

    def moved(self, seconds: float) -> "StoredCode":
        """Return the code with its times on another clock."""
        return attrs.evolve(
            self, received=self.received + seconds, deadline=self.deadline + seconds
        )


@attrs.frozen
class StoredToken:
    """An access token, when it expires, and the code that it came from."""

    fingerprint: str
    secret: Secret = attrs.field(repr=False)
    scope: str = attrs.field(repr=False)
    code_id: str
    expires: float
    lifetime: float
    refresh_at: float

    @property
    def anchor(self) -> float:
        """When its code was first sent: the lifetime counts from there."""
        return self.expires - self.lifetime

    def moved(self, seconds: float) -> "StoredToken":
        """Return the token with its times on another clock."""
        return attrs.evolve(
            self,
            expires=self.expires + seconds,
            refresh_at=self.refresh_at + seconds,
        )


@attrs.frozen
class Lease:
    """The right to request and exchange codes for a scope."""

    owner: str
    until: float


@attrs.frozen
class Backoff:
    """Why nobody tries this scope now, and until when."""

    until: float
    reason: str
    count: int = 1
    detail: str = attrs.field(default="", repr=False)


@attrs.frozen
class RejectedToken:
    """The fingerprint of a token that the service refused, kept until it expires."""

    fingerprint: str
    until: float


@attrs.frozen
class ScopeRecord:
    """All that is shared about one scope."""

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
        return any(each.fingerprint == fingerprint for each in self.rejected)


class CodeState(enum.Enum):
    """What is known about a code."""

    NEW = "new"
    SENDING = "sending"
    REDEEMED = "redeemed"
    SPENT = "spent"


@attrs.frozen
class CodeRecord:
    """All that is shared about one code.

    ``first_sent`` holds the first send under each idempotency key. ``in_doubt`` is
    False after an answer that shows that the code was not consumed.
    """

    state: CodeState = CodeState.NEW
    owner: str = ""
    until: float = 0.0
    scope: str = attrs.field(default="", repr=False)
    reason: str = ""
    first_sent: tuple[float | None, float | None] = (None, None)
    token: StoredToken | None = None
    in_doubt: bool = True

    def sender(self, owner: str) -> tuple[str, float] | None:
        """Return who else sends the code now, and until when, or None."""
        if self.state is not CodeState.SENDING or self.owner == owner:
            return None
        return self.owner, self.until


# ── Answers ──────────────────────────────────────────────────────────────────────


@attrs.frozen
class Cached:
    """The record holds a token that is good enough."""

    token: StoredToken


@attrs.frozen
class Busy:
    """Another owner is at work until this instant, unless it goes on."""

    until: float


@attrs.frozen
class BackingOff:
    """Nobody tries this scope before an instant."""

    backoff: Backoff


@attrs.frozen
class Acquired:
    """The lease is ours. ``inherited``: an earlier owner may have sent the code."""

    pending: StoredCode | None
    inherited: bool = False


@attrs.frozen
class Lost:
    """Another owner holds the lease."""


@attrs.frozen
class Done:
    """The transition took effect, or had taken effect before."""


@attrs.frozen
class UseOther:
    """Another code is pending and comes first."""

    pending: StoredCode


@attrs.frozen
class Next:
    """A code left its place; ``pending`` comes next.

    ``owned``: the lease is still ours. ``set_aside``: how many live codes are marked.
    """

    pending: StoredCode | None
    owned: bool
    set_aside: int = 0


class Publication(enum.Enum):
    """What became of a published token."""

    STORED = "stored"
    EQUAL = "equal"
    OLDER = "older"
    REFUSED = "refused"


@attrs.frozen
class Published:
    """The outcome of a publication, and the token that the record holds now."""

    outcome: Publication
    token: StoredToken | None


@attrs.frozen
class Full:
    """The queue of pushed codes is full."""


@attrs.frozen
class Send:
    """The code may be sent under the key of ``epoch``; the lifetime counts from ``anchor``."""

    epoch: int
    anchor: float


@attrs.frozen
class Redeemed:
    """The code brought a token before, which is filed under ``scope``."""

    scope: str
    token: StoredToken | None


@attrs.frozen
class Spent:
    """The code is of no use any more."""

    reason: str


@attrs.frozen
class Expired:
    """The code has too little life left to be sent for the first time."""


# ── Scope records ────────────────────────────────────────────────────────────────


def usable(
    token: StoredToken | None, record: ScopeRecord, now: float, guard: float
) -> bool:
    """Return whether a token may be handed out: not expired and not rejected."""
    return (
        token is not None
        and token.expires - min(guard, token.lifetime / 20) > now
        and not record.is_rejected(token.fingerprint)
    )


@attrs.frozen
class Wish:
    """What a caller needs: a token better than the one it holds.

    ``expires`` and ``fingerprint`` are those of its token; both are None without one.
    """

    expires: float | None = None
    fingerprint: str | None = None
    guard: float = 10.0

    def fulfilled_by(self, record: ScopeRecord, now: float) -> StoredToken | None:
        """Return the record's token if it is usable and lives longer by L/20."""
        token = record.token
        if token is None or not usable(token, record, now, self.guard):
            return None
        if token.fingerprint == self.fingerprint:
            return None
        if self.expires is None or token.expires > self.expires + token.lifetime / 20:
            return token
        return None


def acquire(
    record: ScopeRecord,
    now: float,
    owner: str,
    wish: Wish,
    *,
    void_lease: Lease | None = None,
    void_backoff: Backoff | None = None,
) -> tuple[ScopeRecord, Cached | Busy | BackingOff | Acquired]:
    """Take the lease of a scope, or say why that is not needed or not possible.

    ``void_lease`` and ``void_backoff`` are those that this reader has seen unchanged
    for longer than they may last by its own clock.
    """
    if (token := wish.fulfilled_by(record, now)) is not None:
        if _owns(record, owner):
            record = attrs.evolve(record, lease=None)
        return record, Cached(token)
    lease = record.lease
    if (
        lease is not None
        and lease.owner != owner
        and lease.until > now
        and lease != void_lease
    ):
        return record, Busy(lease.until)
    inherited = record.pending is not None
    promoted = _with_next(record)
    backoff = _active_backoff(record, now)
    if (
        backoff is not None
        and backoff != void_backoff
        and (promoted.pending is None or backoff.reason in BLOCKING)
    ):
        return record, BackingOff(backoff)
    record = attrs.evolve(promoted, lease=Lease(owner, now + LEASE))
    return record, Acquired(record.pending, inherited)


def hold(
    record: ScopeRecord, now: float, owner: str, code: StoredCode
) -> tuple[ScopeRecord, Done | UseOther | Lost]:
    """Put a code into the record; a pulled code is always accepted.

    Without the lease, or while another code is pending, it waits in the queue.
    """
    known = _knows(record, code.id)
    if not _owns(record, owner):
        return (record if known else _queued(record, code, now)), Lost()
    pending = record.pending
    if pending is not None and pending.id == code.id:
        return record, Done()
    if pending is not None:
        record = record if known else _queued(record, code, now)
        return record, UseOther(pending)
    return attrs.evolve(_without(record, code.id), pending=code), Done()


def extend(
    record: ScopeRecord, now: float, owner: str, wish: Wish
) -> tuple[ScopeRecord, Lost | Cached | Done]:
    """Extend the lease by 15 s from now."""
    if not _owns(record, owner):
        return record, Lost()
    if (token := wish.fulfilled_by(record, now)) is not None:
        return record, Cached(token)
    return attrs.evolve(record, lease=Lease(owner, now + LEASE)), Done()


def drop_code(
    record: ScopeRecord, owner: str, code_id: str
) -> tuple[ScopeRecord, Next]:
    """Remove a spent code; the next one that was not set aside becomes pending."""
    record = _with_next(_without(record, code_id), marked=False)
    return record, Next(record.pending, _owns(record, owner))


def set_aside(
    record: ScopeRecord, now: float, owner: str, code_id: str
) -> tuple[ScopeRecord, Next]:
    """Put a code behind all others, marked, so that it never blocks the scope."""
    code = next((each for each in record.codes if each.id == code_id), None)
    record = _without(record, code_id)
    if code is not None:
        marked = attrs.evolve(code, set_aside=True)
        record = attrs.evolve(record, queue=(*record.queue, marked))
    record = _with_next(record, marked=False)
    count = sum(each.set_aside and each.deadline > now for each in record.queue)
    return record, Next(record.pending, _owns(record, owner), count)


def publish(
    record: ScopeRecord, owner: str, token: StoredToken
) -> tuple[ScopeRecord, Published]:
    """File a token; its code leaves the record and our lease ends in every case."""
    current = record.token
    if record.is_rejected(token.fingerprint):
        outcome, stays = Publication.REFUSED, current
    elif current is not None and current.fingerprint == token.fingerprint:
        earlier = min(current, token, key=lambda each: each.expires)
        outcome, stays = Publication.EQUAL, current
        if earlier.expires < current.expires:
            stays = earlier
    elif current is not None and current.expires > token.expires:
        outcome, stays = Publication.OLDER, current
    else:
        outcome, stays = Publication.STORED, token
        if record.backoff is not None and record.backoff.reason != "rejections":
            record = attrs.evolve(record, backoff=None)
    record = attrs.evolve(_without(record, token.code_id), token=stays)
    if _owns(record, owner):
        record = attrs.evolve(record, lease=None)
    return record, Published(outcome, stays)


def release(
    record: ScopeRecord,
    now: float,
    owner: str,
    *,
    seconds: float = 0.0,
    reason: str | None = None,
    detail: str = "",
) -> tuple[ScopeRecord, Done | Lost]:
    """End our lease; with a reason the scope backs off for everybody.

    ``seconds`` doubles with each failure of the same reason within five minutes.
    """
    if not _owns(record, owner):
        return record, Lost()
    backoff = record.backoff
    if reason is not None:
        count = 1
        recent = backoff is not None and now - backoff.until < _COUNT_WINDOW
        if backoff is not None and recent and backoff.reason == reason:
            count = min(backoff.count + 1, _MAX_COUNT)
        pause = min(MAX_BACKOFF[reason], max(0.0, seconds) * 2.0 ** (count - 1))
        new = Backoff(now + pause, reason, count, detail)
        active = _active_backoff(record, now)
        if active is None or active.until <= new.until or active.reason == reason:
            backoff = new
    return attrs.evolve(record, lease=None, backoff=backoff), Done()


def offer(
    record: ScopeRecord, now: float, code: StoredCode, state: CodeState
) -> tuple[ScopeRecord, Done | Full]:
    """Queue a pushed code; one that is known, redeemed or spent changes nothing."""
    if _knows(record, code.id) or state in {CodeState.REDEEMED, CodeState.SPENT}:
        return record, Done()
    live = tuple(each for each in record.queue if each.deadline > now)
    if len(live) < len(record.queue):
        record = attrs.evolve(record, queue=live)
    if len(live) >= MAX_PUSHED:
        return record, Full()
    return attrs.evolve(record, queue=_by_deadline((*live, code))), Done()


def reject(
    record: ScopeRecord, now: float, fingerprint: str, until: float
) -> tuple[ScopeRecord, Done]:
    """Never use a token again; the third time in ten minutes the scope backs off."""
    if record.token is not None and record.token.fingerprint == fingerprint:
        record = attrs.evolve(record, token=None)
    if record.is_rejected(fingerprint):
        return record, Done()
    times = tuple(
        each for each in record.rejection_times if abs(now - each) < REJECTION_WINDOW
    )
    live = [each for each in record.rejected if each.until > now]
    live.append(RejectedToken(fingerprint, until))
    live.sort(key=lambda each: each.until)
    if len(times) >= MAX_REJECTIONS:
        record = attrs.evolve(
            record, backoff=Backoff(min(times) + REJECTION_WINDOW, "rejections")
        )
    return attrs.evolve(
        record,
        rejected=tuple(live[-MAX_REJECTED:]),
        rejection_times=(*times, now)[-(MAX_REJECTIONS + 1) :],
    ), Done()


def forget(record: ScopeRecord) -> tuple[ScopeRecord, Done]:
    """Drop the token, the waiting codes and a back-off; lease and pending code stay."""
    return attrs.evolve(record, token=None, queue=(), backoff=None), Done()


# ── Code records ─────────────────────────────────────────────────────────────────


def begin_send(
    record: CodeRecord,
    now: float,
    owner: str,
    code: StoredCode,
    *,
    epoch: int,
    inherited: bool,
    from_receipt: bool = False,
    void_until: float | None = None,
) -> tuple[CodeRecord, Send | Busy | Redeemed | Spent | Expired]:
    """Take the right to send a code, and note when it is sent for the first time.

    An inherited code without a noted first send counts from when it was received, as
    does any code with ``from_receipt``: another process may have sent it unseen.
    ``void_until`` is the end of a send that this reader has seen unchanged too long.
    """
    if record.state is CodeState.REDEEMED:
        return record, Redeemed(record.scope, record.token)
    if record.state is CodeState.SPENT:
        return record, Spent(record.reason)
    if (
        record.state is CodeState.SENDING
        and record.owner != owner
        and record.until > now
        and record.until != void_until
    ):
        return record, Busy(record.until)
    first, second = record.first_sent
    if second is not None:
        epoch = 1
    never_sent = (first, second) == (None, None) and not inherited
    if code.deadline - now < code.min_life and (never_sent or not record.in_doubt):
        return record, Expired()
    if epoch == 0 and first is None:
        first = code.received if inherited or from_receipt else now
    if epoch == 1 and second is None:
        unseen = inherited or from_receipt
        second = first if unseen and first is not None else now
    record = attrs.evolve(
        record,
        state=CodeState.SENDING,
        owner=owner,
        until=now + LEASE,
        first_sent=(first, second),
        in_doubt=True,
    )
    anchor = record.first_sent[epoch]
    return record, Send(epoch, now if anchor is None else anchor)


def extend_send(
    record: CodeRecord, now: float, owner: str
) -> tuple[CodeRecord, Done | Lost]:
    """Keep the right to send for 15 s from now."""
    if record.state is CodeState.SENDING and record.owner == owner:
        return attrs.evolve(record, until=now + LEASE), Done()
    return record, Lost()


def end_send(
    record: CodeRecord, owner: str, *, in_doubt: bool
) -> tuple[CodeRecord, Done | Lost]:
    """Give up the right to send; ``in_doubt``: the code may have been consumed."""
    if record.state is CodeState.SENDING and record.owner == owner:
        return attrs.evolve(
            record, state=CodeState.NEW, owner="", until=0.0, in_doubt=in_doubt
        ), Done()
    return record, Lost()


def spend_code(
    record: CodeRecord,
    now: float,
    owner: str,
    reason: str,
    *,
    void_until: float | None = None,
) -> tuple[CodeRecord, Done | Redeemed | Busy]:
    """Mark a code as of no use, unless it brought a token or another owner sends it."""
    if record.state is CodeState.REDEEMED:
        return record, Redeemed(record.scope, record.token)
    if (
        record.state is CodeState.SENDING
        and record.owner != owner
        and record.until > now
        and record.until != void_until
    ):
        return record, Busy(record.until)
    return attrs.evolve(
        record, state=CodeState.SPENT, reason=reason, owner="", until=0.0
    ), Done()


def redeem(
    record: CodeRecord, scope: str, token: StoredToken
) -> tuple[CodeRecord, Redeemed]:
    """Note the token that a code brought, before the scope record is written."""
    if record.state is CodeState.REDEEMED:
        if record.token is not None and token.expires < record.token.expires:
            record = attrs.evolve(record, token=token)
        return record, Redeemed(record.scope, record.token)
    record = attrs.evolve(
        record,
        state=CodeState.REDEEMED,
        scope=scope,
        token=token,
        owner="",
        until=0.0,
        reason="",
    )
    return record, Redeemed(scope, token)


def restore_first_sent(
    record: CodeRecord, first_sent: tuple[float | None, float | None]
) -> tuple[CodeRecord, Done]:
    """Note first sends that happened while the store was away; the earliest counts."""
    merged = tuple(
        new if old is None else old if new is None else min(old, new)
        for old, new in zip(record.first_sent, first_sent, strict=True)
    )
    return attrs.evolve(record, first_sent=(merged[0], merged[1])), Done()


# ── Parts of the transitions ─────────────────────────────────────────────────────


def _owns(record: ScopeRecord, owner: str) -> bool:
    return record.lease is not None and record.lease.owner == owner


def _active_backoff(record: ScopeRecord, now: float) -> Backoff | None:
    backoff = record.backoff
    return backoff if backoff is not None and backoff.until > now else None


def _knows(record: ScopeRecord, code_id: str) -> bool:
    return any(each.id == code_id for each in record.codes)


def _without(record: ScopeRecord, code_id: str) -> ScopeRecord:
    if record.pending is not None and record.pending.id == code_id:
        record = attrs.evolve(record, pending=None)
    if any(each.id == code_id for each in record.queue):
        queue = tuple(each for each in record.queue if each.id != code_id)
        record = attrs.evolve(record, queue=queue)
    return record


def _by_deadline(codes: tuple[StoredCode, ...]) -> tuple[StoredCode, ...]:
    return tuple(
        sorted(codes, key=lambda each: (each.set_aside, each.deadline, each.id))
    )


def _with_next(record: ScopeRecord, *, marked: bool = True) -> ScopeRecord:
    """Return the record with its first queued code pending, if none is."""
    if record.pending is not None or not record.queue:
        return record
    first, *rest = _by_deadline(record.queue)
    if first.set_aside and not marked:
        return record
    return attrs.evolve(record, pending=first, queue=tuple(rest))


def _queued(record: ScopeRecord, code: StoredCode, now: float) -> ScopeRecord:
    """Return the record with a code that must not be refused in its queue."""
    live = [each for each in record.queue if each.deadline > now or not each.set_aside]
    queue = [*live, code]
    if len(queue) > MAX_QUEUED:
        queue.sort(key=lambda each: (not each.set_aside, each.deadline, each.id))
        queue = queue[-MAX_QUEUED:]
    return attrs.evolve(record, queue=_by_deadline(tuple(queue)))


# ── How long records are kept, and what they may say ─────────────────────────────


def scope_ttl(record: ScopeRecord, now: float) -> float:
    """Return for how many seconds a scope record is of any use, 0 for an empty one."""
    ends = [each.until for each in record.rejected]
    ends += [each + REJECTION_WINDOW for each in record.rejection_times]
    ends += [each.received + KEEP_CODE for each in record.codes]
    if record.token is not None:
        ends.append(record.token.expires)
    if record.lease is not None:
        ends.append(record.lease.until)
    if record.backoff is not None:
        ends.append(record.backoff.until + _COUNT_WINDOW)
    return max(0.0, max((end - now for end in ends), default=0.0))


def ttl(record: ScopeRecord | CodeRecord, now: float) -> float:
    """Return for how many seconds a record is kept, 0 if it says nothing."""
    if isinstance(record, ScopeRecord):
        return scope_ttl(record, now)
    return code_ttl(record, now)


def code_ttl(record: CodeRecord, now: float) -> float:
    """Return for how many seconds a code record is kept: ten minutes over its token."""
    token = record.token
    left = KEEP_CODE if token is None else token.expires - now + 600.0
    return max(left, 600.0)


def bounded_scope(record: ScopeRecord, now: float) -> ScopeRecord:
    """Return the record with every time within what it can be at this instant.

    A store's clock may step and its content is input: no lease lasts over 15 s, no
    back-off over its bound, and no token longer than its own lifetime.
    """
    lease, backoff, token = record.lease, record.backoff, record.token
    if lease is not None and lease.until > now + LEASE:
        record = attrs.evolve(record, lease=Lease(lease.owner, now + LEASE))
    if backoff is not None:
        latest = now + MAX_BACKOFF.get(backoff.reason, MAX_BACKOFF["outage"])
        if backoff.until > latest:
            record = attrs.evolve(record, backoff=attrs.evolve(backoff, until=latest))
    if token is not None:
        record = attrs.evolve(record, token=bounded_token(token, now))
    return record


def bounded_code(record: CodeRecord, now: float) -> CodeRecord:
    """Return the record with every time within what it can be at this instant."""
    if record.until > now + LEASE:
        record = attrs.evolve(record, until=now + LEASE)
    if record.token is not None:
        record = attrs.evolve(record, token=bounded_token(record.token, now))
    return record


def bounded_token(token: StoredToken, now: float) -> StoredToken:
    """Return the token with an expiry of at most its lifetime from now."""
    latest = now + token.lifetime
    if token.expires <= latest:
        return token
    return token.moved(latest - token.expires)


# ── Names and bytes ──────────────────────────────────────────────────────────────


def code_id(secret: Secret) -> str:
    """Return the id of a code: a hash that reveals nothing of it."""
    return _digest(b"persona-share/code-id", secret)


def fingerprint(secret: Secret) -> str:
    """Return the fingerprint of a token: a hash that reveals nothing of it."""
    return _digest(b"persona-share/token-fingerprint", secret)


def _digest(domain: bytes, secret: Secret) -> str:
    data = secret.reveal().encode(errors="surrogatepass")
    return hmac.digest(domain, data, hashlib.sha256).hex()[:32]


_Record = TypeVar("_Record", ScopeRecord, CodeRecord)
_CONVERTER: Final = make_converter(
    detailed_validation=False, forbid_extra_keys=True, omit_if_default=True
)
_CONVERTER.register_unstructure_hook(Secret, lambda secret: str(secret.reveal()))
_CONVERTER.register_structure_hook(Secret, lambda value, _: Secret(value))


@attrs.frozen
class Codec(Generic[_Record]):
    """Writes one kind of record as bytes and reads it back, strictly.

    The bytes begin with a version and a checksum over key and content, so damage, a
    record under another key and a record of a later version are all noticed.
    """

    type: type[_Record]
    bounded: Callable[[_Record, float], _Record]

    def encode(self, key: str, record: _Record) -> bytes:
        """Return the bytes of a record."""
        content = orjson.dumps(_CONVERTER.unstructure(record))
        return b"%b %08x %b" % (_VERSION, _checksum(key, content), content)

    def decode(self, key: str, value: bytes) -> _Record:
        """Return the record; raises `UnreadableRecordError` for anything else."""
        version, _, rest = value.partition(b" ")
        checksum, _, content = rest.partition(b" ")
        if version != _VERSION:
            message = "the record was written by another version"
            raise UnreadableRecordError(message)
        if checksum != b"%08x" % _checksum(key, content):
            message = "the record is damaged"
            raise UnreadableRecordError(message)
        try:
            values: Any = orjson.loads(content)
            return _CONVERTER.structure(values, self.type)
        except Exception:  # noqa: BLE001  # the reason may quote a secret
            message = "the record has fields that this version does not know"
            raise UnreadableRecordError(message) from None


SCOPES: Final = Codec(ScopeRecord, bounded_scope)
CODES: Final = Codec(CodeRecord, bounded_code)


def _checksum(key: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(key.encode()))
