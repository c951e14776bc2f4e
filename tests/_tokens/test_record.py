"""Records and their transitions: every transition in every state, and interleavings."""

import math

import attrs
import pytest
from hypothesis import example, given, settings, strategies as st

from persona_share._tokens import record as records
from persona_share._tokens.record import (
    CODES as CODE_CODEC,
    LEASE,
    MAX_BACKOFF,
    MAX_QUEUED,
    MAX_REJECTED,
    SCOPES as SCOPE_CODEC,
    CodeRecord,
    CodeState,
    Publication,
    RejectedToken,
    ScopeRecord,
    StoredCode,
    StoredToken,
    UnreadableRecordError,
    Wish,
)
from persona_share.model.secret import Secret
from tests._tokens.records import (
    NOW,
    code_records,
    codes,
    instants,
    owners,
    scope_records,
    steps,
    tokens,
)


KEY = "scope/name"
STATE = settings(max_examples=60, deadline=None)


def code(name="code0", *, received=NOW, life=594.0):
    return StoredCode(name, Secret(name), received, received + life)


def token(name="token0", *, code_id="code0", expires=NOW + 3_000, lifetime=3_599.0):
    return StoredToken(
        name, Secret(name), "inquiry.read:inq_1", code_id, expires, lifetime, expires
    )


def ids(record):
    return [each.id for each in record.codes]


# ── What holds in every state ────────────────────────────────────────────────────


@STATE
@given(scope_records(), steps())
def test_no_code_is_in_a_record_twice_and_everything_is_bounded(record, step):
    new, _ = step(record, NOW)
    assert len(set(ids(new))) == len(ids(new))
    assert len(new.queue) <= max(MAX_QUEUED, len(record.queue))
    assert len(new.rejected) <= MAX_REJECTED
    assert len(new.rejection_times) <= max(3, len(record.rejection_times))
    if new.lease != record.lease and new.lease is not None:
        assert new.lease.until == NOW + LEASE
    if new.backoff != record.backoff and new.backoff is not None:
        assert 0 <= new.backoff.until - NOW <= MAX_BACKOFF[new.backoff.reason] or (
            new.backoff.reason == "rejections"
        )


@STATE
@given(scope_records(), steps())
def test_transition_repeated_by_its_owner_changes_nothing_more(record, step):
    """A write whose response was lost is settled by reading again."""
    if step.name in {"back_off", "set_aside"}:
        return  # asserted below: a lease that ended cannot end again
    once, first = step(record, NOW)
    twice, second = step(once, NOW)
    if step.name == "acquire" and not isinstance(first, records.Acquired):
        assert twice == once
    elif step.name == "acquire":
        assert second == attrs.evolve(first, inherited=first.pending is not None)
        assert twice == once
    elif step.name == "publish" and first.outcome is Publication.STORED:
        assert second.outcome is Publication.EQUAL
        assert twice == once
    else:
        assert twice == once or step.name in {"drop_code", "hold"}
        assert twice.codes == once.codes


@STATE
@given(scope_records(), steps())
def test_only_the_owner_of_a_lease_ends_or_extends_it(record, step):
    new, _ = step(record, NOW)
    held = record.lease
    if held is None or held.owner == step.owner or held.until <= NOW:
        return
    assert new.lease == held


@STATE
@given(scope_records(), steps())
def test_codes_leave_only_by_publication_a_drop_a_bound_or_forgetting(record, step):
    new, _ = step(record, NOW)
    gone = set(ids(record)) - set(ids(new))
    match step.name:
        case "publish":
            assert gone <= {step.token.code_id}
        case "drop_code":
            assert gone <= {step.code.id}
        case "forget":
            assert gone == {each.id for each in record.queue}
        case "offer" | "hold":
            lost = [each for each in record.queue if each.id in gone]
            assert all(each.deadline <= NOW for each in lost) or (
                len(record.queue) >= MAX_QUEUED
            )
        case _:
            assert not gone


@STATE
@given(scope_records(), steps())
def test_rejected_token_is_never_stored_or_handed_out(record, step):
    new, answer = step(record, NOW)
    if isinstance(answer, records.Cached):
        assert not record.is_rejected(answer.token.fingerprint)
        assert answer.token.expires > NOW
    if step.name == "publish" and record.is_rejected(step.token.fingerprint):
        assert answer.outcome is Publication.REFUSED
        assert new.token == record.token
    if step.name == "reject":
        assert new.token is None or new.token.fingerprint != step.token.fingerprint
        known = len(record.rejected) >= MAX_REJECTED
        assert new.is_rejected(step.token.fingerprint) or known


@STATE
@given(scope_records(), st.lists(steps(), max_size=12), st.lists(instants, max_size=12))
def test_three_owners_and_a_stepping_clock_break_nothing(record, taken, clock):
    now, holder = NOW, None
    for step, at in zip(taken, [*clock, *[NOW] * 12], strict=False):
        now = at
        record = records.bounded_scope(record, now)
        record, answer = step(record, now)
        assert len(set(ids(record))) == len(ids(record))
        assert record.lease is None or record.lease.until <= now + LEASE
        assert SCOPE_CODEC.decode(KEY, SCOPE_CODEC.encode(KEY, record)) == record
        if isinstance(answer, records.Acquired):
            holder = step.owner
            assert record.lease.owner == holder


@STATE
@given(code_records(), owners, codes(), st.integers(0, 1), st.booleans())
def test_code_is_sent_by_one_owner_under_keys_that_never_go_back(
    record, owner, sent, epoch, inherited
):
    new, answer = records.begin_send(
        record, NOW, owner, sent, epoch=epoch, inherited=inherited
    )
    if record.state in {CodeState.REDEEMED, CodeState.SPENT}:
        assert new == record
        return
    busy = record.state is CodeState.SENDING and record.owner != owner
    if busy and record.until > NOW:
        assert isinstance(answer, records.Busy)
        return
    if isinstance(answer, records.Expired):
        assert sent.deadline - NOW < sent.min_life
        assert record.first_sent == (None, None) or not record.in_doubt
        return
    assert new.owner == owner
    assert answer.epoch >= epoch
    assert answer.epoch == 1 or record.first_sent[1] is None
    for old, kept in zip(record.first_sent, new.first_sent, strict=True):
        assert old is None or kept == old
    assert answer.anchor == new.first_sent[answer.epoch]
    again, same = records.begin_send(
        new, NOW + 1, owner, sent, epoch=epoch, inherited=inherited
    )
    assert same == answer
    assert again.first_sent == new.first_sent


@STATE
@given(code_records(), owners, tokens())
def test_redeemed_code_stays_redeemed_and_its_token_never_lives_longer(
    record, owner, brought
):
    redeemed, answer = records.redeem(record, "inquiry.read:inq_1", brought)
    assert redeemed.state is CodeState.REDEEMED
    if record.state is CodeState.REDEEMED:
        assert answer.token.expires <= record.token.expires
    for after, _ in (
        records.spend_code(redeemed, NOW, owner, "refused"),
        records.end_send(redeemed, owner, in_doubt=True),
        records.extend_send(redeemed, NOW, owner),
    ):
        assert after == redeemed


@STATE
@given(code_records(), owners)
def test_code_that_another_owner_sends_is_not_spent(record, owner):
    new, answer = records.spend_code(record, NOW, owner, "refused")
    if isinstance(answer, records.Busy):
        assert record.sender(owner) is not None
        assert new == record
    elif not isinstance(answer, records.Redeemed):
        assert new.state is CodeState.SPENT


# ── Single rules ─────────────────────────────────────────────────────────────────


def test_first_queued_code_becomes_pending_by_its_deadline():
    record = ScopeRecord()
    for name, life in (("late", 500.0), ("early", 200.0)):
        record, _ = records.offer(record, NOW, code(name, life=life), CodeState.NEW)
    record, answer = records.acquire(record, NOW, "one", Wish())
    assert answer == records.Acquired(record.pending, inherited=False)
    assert record.pending.id == "early"


def test_code_that_was_set_aside_comes_after_all_others():
    record, _ = records.acquire(ScopeRecord(), NOW, "one", Wish())
    record, _ = records.hold(record, NOW, "one", code("first"))
    record, _ = records.offer(record, NOW, code("second"), CodeState.NEW)
    record, answer = records.set_aside(record, NOW, "one", "first")
    assert answer.pending.id == "second"
    assert answer.set_aside == 1


def test_nine_pushed_codes_are_one_too_many_and_expired_ones_make_room():
    record = ScopeRecord()
    for number in range(8):
        record, answer = records.offer(
            record, NOW, code(f"code{number}", life=100.0), CodeState.NEW
        )
        assert answer == records.Done()
    full, answer = records.offer(record, NOW, code("ninth"), CodeState.NEW)
    assert (full, answer) == (record, records.Full())
    _, answer = records.offer(record, NOW + 200, code("ninth"), CodeState.NEW)
    assert answer == records.Done()


@pytest.mark.parametrize("state", [CodeState.REDEEMED, CodeState.SPENT])
def test_offered_code_that_is_known_to_be_used_changes_nothing(state):
    record, answer = records.offer(ScopeRecord(), NOW, code(), state)
    assert (record, answer) == (ScopeRecord(), records.Done())


def test_third_rejection_in_ten_minutes_backs_the_scope_off():
    record = ScopeRecord()
    for number in range(3):
        record, _ = records.reject(record, NOW + number, f"token{number}", NOW + 3_000)
    _, answer = records.acquire(record, NOW + 3, "one", Wish())
    assert isinstance(answer, records.BackingOff)
    assert answer.backoff.reason == "rejections"
    assert answer.backoff.until == NOW + 600


def test_rejections_block_a_pending_code_and_other_reasons_do_not():
    record = attrs.evolve(ScopeRecord(), pending=code())
    for reason, kind in (
        ("rejections", records.BackingOff),
        ("codes", records.Acquired),
    ):
        backoff = records.Backoff(NOW + 60, reason)
        _, answer = records.acquire(
            attrs.evolve(record, backoff=backoff), NOW, "one", Wish()
        )
        assert isinstance(answer, kind)


def test_backoff_doubles_and_stays_below_its_bound():
    record, pauses = ScopeRecord(), []
    now = NOW
    for _ in range(12):
        record, _ = records.acquire(record, now, "one", Wish())
        record, _ = records.release(record, now, "one", seconds=5.0, reason="refused")
        pauses.append(record.backoff.until - now)
        now = record.backoff.until
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == 300


def test_lease_and_backoff_that_a_reader_saw_too_long_are_void():
    lease = records.Lease("two", NOW + 9)
    backoff = records.Backoff(NOW + 50, "outage")
    record = ScopeRecord(lease=lease, backoff=backoff)
    _, answer = records.acquire(
        record, NOW, "one", Wish(), void_lease=lease, void_backoff=backoff
    )
    assert isinstance(answer, records.Acquired)


def test_token_that_is_to_be_replaced_is_never_good_enough():
    record = ScopeRecord(token=token())
    wish = Wish(fingerprint="token0")
    assert isinstance(records.acquire(record, NOW, "one", wish)[1], records.Acquired)
    assert isinstance(records.acquire(record, NOW, "one", Wish())[1], records.Cached)


def test_token_must_be_better_by_a_twentieth_of_its_life():
    record = ScopeRecord(token=token(expires=NOW + 3_000))
    for expires, kind in (
        (NOW + 2_900, records.Acquired),
        (NOW + 2_800, records.Cached),
    ):
        _, answer = records.acquire(record, NOW, "one", Wish(expires, "older"))
        assert isinstance(answer, kind)


def test_inherited_code_counts_from_when_it_was_received():
    sent = code(received=NOW - 300)
    _, answer = records.begin_send(
        CodeRecord(), NOW, "one", sent, epoch=0, inherited=True
    )
    assert answer.anchor == NOW - 300


def test_new_code_counts_from_its_first_send():
    record, answer = records.begin_send(
        CodeRecord(), NOW, "one", code(received=NOW - 300), epoch=0, inherited=False
    )
    assert answer.anchor == NOW
    record, _ = records.end_send(record, "one", in_doubt=True)
    _, answer = records.begin_send(
        record, NOW + 60, "two", code(received=NOW - 300), epoch=0, inherited=True
    )
    assert answer.anchor == NOW


@pytest.mark.parametrize(("life", "sent"), [(39.0, False), (41.0, True)])
def test_code_is_sent_first_with_forty_seconds_left(life, sent):
    late = StoredCode("code0", Secret("x"), NOW - 594 + life, NOW + life)
    _, answer = records.begin_send(
        CodeRecord(), NOW, "one", late, epoch=0, inherited=False
    )
    assert isinstance(answer, records.Send) is sent


def test_code_in_doubt_is_asked_about_after_its_own_end():
    sent = CodeRecord(first_sent=(NOW - 700, None))
    old = code(received=NOW - 700)
    _, answer = records.begin_send(sent, NOW, "one", old, epoch=0, inherited=True)
    assert answer == records.Send(0, NOW - 700)


def test_first_sends_of_an_outage_are_merged_to_the_earliest():
    record = CodeRecord(first_sent=(NOW, None))
    record, _ = records.restore_first_sent(record, (NOW - 5, NOW + 1))
    assert record.first_sent == (NOW - 5, NOW + 1)


# ── Bytes ────────────────────────────────────────────────────────────────────────


@STATE
@given(scope_records())
@example(ScopeRecord())
def test_scope_record_is_read_back_as_it_was_written(record):
    assert SCOPE_CODEC.decode(KEY, SCOPE_CODEC.encode(KEY, record)) == record


@STATE
@given(code_records())
def test_code_record_is_read_back_as_it_was_written(record):
    assert CODE_CODEC.decode(KEY, CODE_CODEC.encode(KEY, record)) == record


@STATE
@given(scope_records(), st.data())
def test_flipped_bit_is_noticed(record, data):
    value = bytearray(SCOPE_CODEC.encode(KEY, record))
    at = data.draw(st.integers(0, len(value) * 8 - 1))
    value[at // 8] ^= 1 << at % 8
    with pytest.raises(UnreadableRecordError):
        SCOPE_CODEC.decode(KEY, bytes(value))


@STATE
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_unreadable(value):
    with pytest.raises(UnreadableRecordError):
        SCOPE_CODEC.decode(KEY, value)


def test_record_under_another_key_or_of_a_later_version_is_unreadable():
    value = SCOPE_CODEC.encode(KEY, ScopeRecord(token=token()))
    with pytest.raises(UnreadableRecordError, match="damaged"):
        SCOPE_CODEC.decode("scope/other", value)
    with pytest.raises(UnreadableRecordError, match="another version"):
        SCOPE_CODEC.decode(KEY, value.replace(b"-share-2", b"-share-3"))


def test_largest_record_fits_into_a_store():
    text = " ".join(f"inquiry.read:inq_{number:040}" for number in range(256))
    big = Secret("x" * 8_192)
    stored = [StoredCode(f"{number:032}", big, NOW, NOW + 594) for number in range(17)]
    record = ScopeRecord(
        token=StoredToken("f" * 32, big, text, "c" * 32, NOW, 1.0, NOW),
        pending=stored[0],
        queue=tuple(stored[1:]),
        backoff=records.Backoff(NOW, "short", detail=text),
        rejected=tuple(RejectedToken(f"{n:032}", NOW) for n in range(64)),
    )
    assert len(SCOPE_CODEC.encode(KEY, record)) <= 256 * 1024


def test_nothing_shows_a_secret_of_a_record():
    secret = Secret("canary")
    record = ScopeRecord(
        token=attrs.evolve(token(), secret=secret, scope="canary"),
        pending=attrs.evolve(code(), secret=secret),
        backoff=records.Backoff(NOW, "short", detail="canary"),
    )
    assert "canary" not in repr(record)
    assert "canary" not in records.fingerprint(secret) + records.code_id(secret)
    assert records.fingerprint(secret) != records.code_id(secret)


@STATE
@given(scope_records(), st.sampled_from([-1e9, 0.0, NOW, NOW + 1e9]))
def test_no_time_in_a_record_exceeds_what_it_can_be_at_any_clock(record, now):
    bounded = records.bounded_scope(record, now)
    if bounded.lease is not None:
        assert bounded.lease.until <= now + LEASE
    if bounded.backoff is not None:
        assert bounded.backoff.until <= now + MAX_BACKOFF[bounded.backoff.reason]
    if bounded.token is not None:
        assert bounded.token.expires <= now + bounded.token.lifetime
    assert math.isfinite(records.scope_ttl(bounded, now))
    assert records.scope_ttl(ScopeRecord(), now) == 0
