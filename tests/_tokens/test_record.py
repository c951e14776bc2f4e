"""Records and their transitions: every transition in every state, and interleavings."""

import math

import attrs
import pytest
from hypothesis import example, given, note, settings, strategies as st

from persona_share._tokens import record as records
from persona_share._tokens.record import (
    LEASE,
    MAX_BACKOFF,
    MAX_QUEUED,
    MAX_REJECTED,
    TOKEN_LIFE,
    CodeRecord,
    CodeState,
    RejectedToken,
    ScopeRecord,
    StoredCode,
    StoredToken,
    UnreadableRecordError,
    Wish,
)
from persona_share.model.secret import Secret
from tests._tokens.records import (
    NAMES,
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


def code(name="code0", *, received=NOW, life=594.0):
    return StoredCode(name, Secret(name), received, received + life)


def token(name="token0", *, code_id="code0", expires=NOW + 3_000, lifetime=3_599.0):
    return StoredToken(
        name, Secret(name), "inquiry.read:inq_1", code_id, expires, lifetime, expires
    )


def ids(record):
    return [each.id for each in record.codes]


def read_back(record):
    return records.decode(KEY, records.encode(KEY, record), type(record))


# ── What holds in every state ────────────────────────────────────────────────────


def no_code_is_in_a_record_twice_and_everything_is_bounded(record, step, new):
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


def transition_repeated_by_its_owner_changes_nothing_more(record, step, new):
    """A write whose response was lost is settled by reading again."""
    twice = step(new, NOW)
    if step.name in {"hold", "drop_code", "set_aside"}:
        assert sorted(ids(twice)) == sorted(ids(new))
    else:
        assert twice == new


def only_the_owner_of_a_lease_ends_or_extends_it(record, step, new):
    held = record.lease
    if held is None or held.owner == step.owner or held.until <= NOW:
        return
    assert new.lease == held


def codes_leave_only_by_publication_a_drop_a_bound_or_forgetting(record, step, new):
    gone = set(ids(record)) - set(ids(new))
    match step.name:
        case "publish":
            assert gone <= {step.token.code_id}
            assert step.token.code_id not in ids(new)
        case "drop_code":
            assert gone <= {step.code.id}
        case "forget":
            assert gone == {each.id for each in record.queue}
        case "offer" | "hold":
            # A code in doubt is of use after its own end, unless it was set aside.
            assert all(
                each.deadline <= NOW and (each.set_aside or step.name == "offer")
                for each in record.codes
                if each.id in gone
            )
            assert record.pending is None or record.pending.id not in gone
        case _:
            assert not gone


def rejected_token_is_never_stored_or_handed_out(record, step, new):
    fulfilling = step.wish.fulfilled_by(new, NOW)
    if fulfilling is not None:
        assert not new.is_rejected(fulfilling.fingerprint)
        assert fulfilling.expires > NOW
    if step.name == "publish" and record.is_rejected(step.token.fingerprint):
        assert new.token == record.token
    if step.name == "reject":
        assert new.token is None or new.token.fingerprint != step.token.fingerprint
        known = len(record.rejected) >= MAX_REJECTED
        assert new.is_rejected(step.token.fingerprint) or known


def token_gives_way_only_to_a_later_one_or_its_own_earlier_end(record, step, new):
    old = record.token
    match step.name:
        case "publish" if record.is_rejected(step.token.fingerprint):
            assert new.backoff == record.backoff
        case "publish" if old is not None and (
            old.fingerprint == step.token.fingerprint
        ):
            assert new.token.expires == min(old.expires, step.token.expires)
        case "publish" if old is None or old.expires <= step.token.expires:
            assert new.token == step.token
            assert new.backoff is None or new.backoff.reason == "rejections"
            if record.backoff is not None and record.backoff.reason == "rejections":
                assert new.backoff == record.backoff
        case "reject" if old is not None and (
            old.fingerprint == step.token.fingerprint
        ):
            assert new.token is None
        case "forget":
            assert new.token is None
        case _:
            assert new.token == old


@given(scope_records(), steps())
def test_every_transition_in_every_state_keeps_all_promises(record, one_step):
    for name in NAMES:
        step = attrs.evolve(one_step, name=name)
        new = step(record, NOW)
        note(f"{step} gives {new}")
        no_code_is_in_a_record_twice_and_everything_is_bounded(record, step, new)
        transition_repeated_by_its_owner_changes_nothing_more(record, step, new)
        only_the_owner_of_a_lease_ends_or_extends_it(record, step, new)
        codes_leave_only_by_publication_a_drop_a_bound_or_forgetting(record, step, new)
        rejected_token_is_never_stored_or_handed_out(record, step, new)
        token_gives_way_only_to_a_later_one_or_its_own_earlier_end(record, step, new)


@given(scope_records(), st.lists(steps(), max_size=12), st.lists(instants, max_size=12))
def test_three_owners_and_a_stepping_clock_break_nothing(record, taken, clock):
    now = NOW
    for step, at in zip(taken, [*clock, *[NOW] * 12], strict=False):
        now = at
        before = records.bounded(record, now, ages={})
        record = step(before, now)
        assert len(set(ids(record))) == len(ids(record))
        assert record.lease is None or record.lease.until <= now + LEASE
        assert read_back(record) == record
        if step.name == "acquire" and records.owns(record, step.owner):
            assert not records.is_busy(before, now, step.owner)
            assert step.wish.fulfilled_by(record, now) is None


@given(code_records(), owners, codes(), st.integers(0, 1), st.booleans())
def test_code_is_sent_by_one_owner_under_keys_that_never_go_back(
    record, owner, sent, epoch, inherited
):
    new = begin_send(record, owner, sent, epoch=epoch, inherited=inherited)
    if record.state is not CodeState.NEW or records.is_busy(record, NOW, owner):
        assert new == record
        return
    if new.state is CodeState.SPENT:
        assert sent.deadline - NOW < 40 or sent.received < NOW - TOKEN_LIFE
        assert not record.first_sent or not record.in_doubt
        return
    assert records.owns(new, owner)
    assert new.epoch == max(epoch, record.epoch)
    assert new.first_sent[: len(record.first_sent)] == record.first_sent
    again = begin_send(new, owner, sent, epoch=epoch, inherited=inherited, now=NOW + 1)
    assert again.first_sent == new.first_sent


@given(code_records(), owners, tokens())
def test_redeemed_code_stays_redeemed_and_its_token_never_lives_longer(
    record, owner, brought
):
    redeemed = records.redeem(record, NOW, "inquiry.read:inq_1", brought)
    assert redeemed.state is CodeState.REDEEMED
    if record.state is CodeState.REDEEMED:
        earlier = min(record.token.expires, brought.expires)
        assert redeemed.token.expires == earlier
    for after in (
        records.spend(redeemed, NOW, owner),
        records.end_send(redeemed, NOW, owner, in_doubt=True),
        records.extend(redeemed, NOW, owner),
    ):
        assert after == redeemed


@given(code_records(), owners)
def test_code_that_another_owner_sends_is_not_spent(record, owner):
    new = records.spend(record, NOW, owner)
    if record.state is CodeState.REDEEMED or records.is_busy(record, NOW, owner):
        assert new == record
    else:
        assert new.state is CodeState.SPENT


# ── Single rules ─────────────────────────────────────────────────────────────────


def acquire(record, owner="one", wish=Wish(), now=NOW):  # noqa: B008  # it is frozen
    return records.acquire(record, now, owner, wish)


def begin_send(record, owner, sent, *, now=NOW, known=CodeRecord(), **options):  # noqa: B008
    return records.begin_send(record, now, owner, sent, known, **options)


def test_first_queued_code_becomes_pending_by_its_deadline():
    record = ScopeRecord()
    for name, life in (("late", 500.0), ("early", 200.0)):
        record = records.offer(record, NOW, code(name, life=life), CodeState.NEW)
    record = acquire(record)
    assert records.owns(record, "one")
    assert record.pending.id == "early"


def test_code_that_was_set_aside_comes_after_all_others():
    record = acquire(ScopeRecord())
    record = records.hold(record, NOW, "one", code("first"))
    record = records.offer(record, NOW, code("second"), CodeState.NEW)
    record = records.set_aside(record, NOW, "first")
    assert ids(record) == ["second", "first"]
    record = records.drop_code(record, NOW, "second")
    assert record.pending is None
    assert records.acquire(record, NOW, "one", Wish(), retry=False).pending is None
    assert acquire(record).pending.id == "first"


def test_ninth_pushed_code_is_refused_unless_one_has_expired():
    record = ScopeRecord()
    for number in range(8):
        each = code(f"code{number}", life=100.0)
        record = records.offer(record, NOW, each, CodeState.NEW)
    assert len(record.queue) == 8
    assert records.offer(record, NOW, code("ninth"), CodeState.NEW) == record
    later = records.offer(record, NOW + 200, code("ninth"), CodeState.NEW)
    assert ids(later) == ["ninth"]


@pytest.mark.parametrize("state", [CodeState.REDEEMED, CodeState.SPENT])
def test_offered_code_that_is_known_to_be_used_changes_nothing(state):
    assert records.offer(ScopeRecord(), NOW, code(), state) == ScopeRecord()


def test_code_that_was_set_aside_or_ends_first_gives_way_to_a_seventeenth():
    record = ScopeRecord()
    for number in range(17):
        record = records.hold(record, NOW, "", code(f"code{number}", life=100 + number))
    assert "code0" not in ids(record)
    record = records.set_aside(record, NOW, "code9")
    assert record.pending.id == "code1"
    for number in (17, 18):
        record = records.hold(record, NOW, "", code(f"code{number}", life=50.0))
    assert "code9" not in ids(record)
    assert len(record.queue) == MAX_QUEUED


def test_rejections_of_the_last_ten_minutes_count():
    record = ScopeRecord()
    for number, at in enumerate((0, 1, 602, 603)):
        rejected = RejectedToken(f"token{number}", NOW + 3_000)
        record = records.reject(record, NOW + at, rejected)
        assert record.backoff is None
    assert ScopeRecord(rejection_times=(NOW,)).ttl(NOW) == 600


def test_third_rejection_in_ten_minutes_backs_the_scope_off():
    record = ScopeRecord()
    for number in range(3):
        rejected = RejectedToken(f"token{number}", NOW + 3_000)
        record = records.reject(record, NOW + number, rejected)
    record = acquire(record, now=NOW + 3)
    assert record.lease is None
    assert record.backoff == records.Backoff(NOW + 600, "rejections")


@pytest.mark.parametrize(
    ("reason", "blocks"), [("rejections", True), ("outage", True), ("codes", False)]
)
def test_rejections_and_outages_block_a_pending_code(reason, blocks):
    record = ScopeRecord(pending=code(), backoff=records.Backoff(NOW + 60, reason))
    assert (acquire(record).lease is None) is blocks


def test_backoff_doubles_and_stays_below_its_bound():
    record, pauses = ScopeRecord(), []
    now = NOW
    for _ in range(12):
        record = acquire(record, now=now)
        record = records.release(record, now, "one", reason="refused", seconds=5.0)
        pauses.append(record.backoff.until - now)
        now = record.backoff.until
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == 300


@pytest.mark.parametrize(
    ("reason", "passed", "pause"),
    [("refused", 299, 10), ("refused", 300, 5), ("source", 20, 5), ("source", 4, 6)],
)
def test_backoff_starts_again_after_a_while_and_shortens_no_other(
    reason, passed, pause
):
    record = acquire(ScopeRecord())
    record = records.release(record, NOW, "one", reason="refused", seconds=5.0)
    record = attrs.evolve(record, backoff=attrs.evolve(record.backoff, until=NOW + 10))
    now = NOW + 10 + passed if reason == "refused" else NOW + passed
    record = attrs.evolve(record, lease=records.Lease("one", now + 1))
    record = records.release(record, now, "one", reason=reason, seconds=5.0)
    assert record.backoff.until == now + pause


def test_token_that_is_to_be_replaced_is_never_good_enough():
    record = ScopeRecord(token=token())
    assert acquire(record, wish=Wish(fingerprint="token0")).lease is not None
    assert acquire(record).lease is None


def test_token_must_be_better_by_a_twentieth_of_its_life():
    record = ScopeRecord(token=token(expires=NOW + 3_000))
    assert acquire(record, wish=Wish(NOW + 2_900, "older")).lease is not None
    assert acquire(record, wish=Wish(NOW + 2_800, "older")).lease is None


def test_inherited_code_counts_from_when_it_was_received():
    sent = code(received=NOW - 300)
    assert begin_send(CodeRecord(), "one", sent, inherited=True).first_sent == (
        NOW - 300,
    )


def test_new_code_counts_from_its_first_send():
    sent = code(received=NOW - 300)
    record = begin_send(CodeRecord(), "one", sent)
    assert record.first_sent == (NOW,)
    record = records.end_send(record, NOW, "one", in_doubt=True)
    record = begin_send(record, "two", sent, inherited=True, now=NOW + 60)
    assert record.first_sent == (NOW,)


def test_second_epoch_counts_from_its_own_first_send():
    record = begin_send(CodeRecord(), "one", code())
    record = begin_send(record, "one", code(), epoch=1, now=NOW + 9)
    assert (record.epoch, record.first_sent) == (1, (NOW, NOW + 9))
    record = begin_send(record, "one", code(), epoch=0, now=NOW + 20)
    assert (record.epoch, record.first_sent) == (1, (NOW, NOW + 9))


@pytest.mark.parametrize("unseen", ["inherited", "unsure"])
def test_second_epoch_counts_from_the_first_send_when_another_may_have_begun_it(unseen):
    sent = code(received=NOW - 100)
    options = {unseen: True}
    record = begin_send(CodeRecord(), "one", sent, **options)
    assert record.first_sent == (NOW - 100,)
    record = begin_send(record, "one", sent, epoch=1, now=NOW + 9, **options)
    assert record.first_sent == (NOW - 100, NOW - 100)
    lost = begin_send(CodeRecord(), "two", sent, epoch=1, **options)
    assert lost.first_sent == (NOW - 100, NOW - 100)


def test_code_that_another_may_have_sent_unseen_counts_from_its_receipt_at_the_latest():
    sent = code(received=NOW - 100)
    known = CodeRecord(first_sent=(NOW - 50,))
    record = begin_send(CodeRecord(), "one", sent, known=known, unsure=True)
    assert record.first_sent == (NOW - 100,)


@pytest.mark.parametrize(("life", "sent"), [(39.0, False), (41.0, True)])
def test_code_is_sent_first_with_forty_seconds_left(life, sent):
    late = StoredCode("code0", Secret("x"), NOW - 594 + life, NOW + life)
    record = begin_send(CodeRecord(), "one", late)
    assert records.owns(record, "one") is sent
    assert (record.reason == "expired") is not sent


@pytest.mark.parametrize(
    ("record", "inherited", "sent"),
    [
        (CodeRecord(first_sent=(NOW - 9,)), False, True),
        (CodeRecord(first_sent=(NOW - 9,), in_doubt=False), False, False),
        (CodeRecord(), True, True),
    ],
)
def test_code_that_may_have_been_used_is_sent_again_until_its_end(
    record, inherited, sent
):
    late = StoredCode("code0", Secret("x"), NOW - 555, NOW + 39)
    record = begin_send(record, "one", late, inherited=inherited)
    assert records.owns(record, "one") is sent


def test_first_send_that_only_this_manager_knows_of_counts():
    known = CodeRecord(first_sent=(NOW - 50,))
    record = begin_send(CodeRecord(), "one", code(), known=known)
    assert record.first_sent == (NOW - 50,)


@pytest.mark.parametrize("order", [(100, 200), (200, 100)])
def test_earlier_end_of_a_token_counts(order):
    record = ScopeRecord()
    for left in order:
        record = records.publish(record, NOW, "one", token(expires=NOW + left))
    assert record.token.expires == NOW + 100


def test_code_in_doubt_is_asked_about_after_its_own_end():
    sent = CodeRecord(first_sent=(NOW - 700,))
    old = code(received=NOW - 700)
    record = begin_send(sent, "one", old, inherited=True)
    assert records.owns(record, "one")
    assert record.first_sent == (NOW - 700,)


def test_code_in_doubt_is_spent_when_its_token_cannot_live_any_more():
    sent = CodeRecord(first_sent=(NOW - TOKEN_LIFE + 29,))
    record = begin_send(sent, "one", code(), budget=30.0)
    assert (record.state, record.reason) == (CodeState.SPENT, "expired")


@pytest.mark.parametrize(
    ("one", "other"), [((NOW,), (NOW - 5, NOW + 1)), ((NOW - 5, NOW + 1), (NOW,))]
)
def test_first_sends_of_an_outage_are_merged_to_the_earliest(one, other):
    record = CodeRecord(first_sent=one)
    record = records.merge_first_sent(record, NOW, CodeRecord(first_sent=other))
    assert record.first_sent == (NOW - 5, NOW + 1)


# ── Bytes ────────────────────────────────────────────────────────────────────────


def it_is_read_back_as_it_was_written(record):
    assert read_back(record) == record


def it_is_the_same_when_its_times_are_moved_to_another_clock_and_back(record, seconds):
    moved = record.moved(seconds)
    if record.lease is not None:
        assert moved.lease.until == record.lease.until + seconds
    if record.token is not None:
        assert moved.token.expires == record.token.expires + seconds
        assert moved.token.lifetime == record.token.lifetime
    assert moved.moved(-seconds).ttl(NOW) == pytest.approx(record.ttl(NOW), abs=1e-6)


def flipped_bit_is_noticed(record, share):
    value = bytearray(records.encode(KEY, record))
    at = int(share * len(value) * 8)
    value[at // 8] ^= 1 << at % 8
    with pytest.raises(UnreadableRecordError):
        records.decode(KEY, bytes(value), type(record))


@settings(max_examples=2 * settings.default.max_examples)  # it stands for three
@given(
    scope_records() | code_records(),
    st.floats(-1e6, 1e6),
    st.floats(0, 1, exclude_max=True),
)
@example(ScopeRecord(), 0.0, 0.0)
def test_record_survives_its_bytes_and_another_clock(record, seconds, share):
    it_is_read_back_as_it_was_written(record)
    it_is_the_same_when_its_times_are_moved_to_another_clock_and_back(record, seconds)
    flipped_bit_is_noticed(record, share)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_unreadable(value):
    with pytest.raises(UnreadableRecordError):
        records.decode(KEY, value, ScopeRecord)


def test_record_under_another_key_or_of_a_later_version_is_unreadable():
    value = records.encode(KEY, ScopeRecord(token=token()))
    with pytest.raises(UnreadableRecordError, match="damaged"):
        records.decode("scope/other", value, ScopeRecord)
    with pytest.raises(UnreadableRecordError, match="another version"):
        records.decode(KEY, value.replace(b"-share-2", b"-share-3"), ScopeRecord)


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
    assert len(records.encode(KEY, record)) <= 256 * 1024


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


@given(scope_records(), st.sampled_from([-1e9, 0.0, NOW, NOW + 1e9]))
def test_no_time_in_a_record_exceeds_what_it_can_be_at_any_clock(record, now):
    bounded = records.bounded(record, now, ages={})
    if bounded.lease is not None:
        assert bounded.lease.until <= now + LEASE
    if bounded.backoff is not None:
        assert bounded.backoff.until <= now + MAX_BACKOFF[bounded.backoff.reason]
    if bounded.token is not None:
        assert bounded.token.expires <= now + bounded.token.lifetime
    assert math.isfinite(bounded.ttl(now))
    assert ScopeRecord().ttl(now) == 0
