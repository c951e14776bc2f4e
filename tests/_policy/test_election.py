"""Who exchanges: every operation and its edges, on pure records."""

import attrs
import pytest

from persona_share._policy import election
from persona_share._policy.election import (
    LEASE,
    LONGEST_LEAD,
    MOST_CODES,
    Carried,
    Follow,
    Held,
    Lead,
    Refused,
)
from persona_share._protocol.stored import Record, StoredTicket, StoredToken


NOW = 1_000.0
CODE = Carried("code", 600.0, b"blob")


def elect(record, now=NOW, owner="a", *, newer_than=0, at_least=0.0):
    return election.elect(record, now, owner, newer_than=newer_than, at_least=at_least)


def led(owner="a", now=NOW, record=None):
    return elect(record or Record(), now, owner)[0]


def with_token(generation=3, ends=NOW + 3_599, lifetime=3_599.0, **fields):
    token = StoredToken(generation, ends, lifetime, b"token")
    return Record(fence=generation, token=token, **fields)


def publish(record, now, owner, fence, *, remaining=3_599.0, blob=b"new"):
    return election.publish(record, now, owner, fence, remaining=remaining, blob=blob)


def fail(record, now, owner, fence, *, pause=30.0, keep_ticket=False):
    return election.fail(
        record, now, owner, fence, reason="why", pause=pause, keep_ticket=keep_ticket
    )


# ── elect ───────────────────────────────────────────────────────────────────────


def test_the_first_to_ask_leads_for_a_lease():
    record, answer = elect(Record())
    assert answer == Lead(1)
    assert record.leader == election.Leader("a", 1, NOW, NOW + LEASE)
    assert record.fence == 1


@pytest.mark.parametrize(
    ("after", "kind"), [(0, Follow), (LEASE - 0.1, Follow), (LEASE, Lead)]
)
def test_the_others_follow_until_the_lease_is_over(after, kind):
    record, answer = elect(led(), NOW + after, "b")
    assert isinstance(answer, kind)
    if kind is Follow:
        assert answer.seconds == pytest.approx(LEASE - after)
        assert record == led()


def test_its_own_leader_leads_again_by_a_newer_fence():
    record, answer = elect(led())
    assert answer == Lead(2)
    assert record.leader.fence == 2


def test_a_usable_token_is_answered_and_nothing_is_written():
    stored = with_token()
    record, answer = elect(stored, NOW + 99)
    assert record is stored
    assert answer == Held(3, 3_500.0, b"token")


def test_a_usable_token_is_answered_while_somebody_leads():
    stored = attrs.evolve(with_token(), leader=led("b").leader)
    assert isinstance(elect(stored)[1], Held)


@pytest.mark.parametrize(
    ("question", "usable"),
    [
        ({"newer_than": 2}, True),
        ({"newer_than": 3}, False),
        ({"at_least": 3_598.9}, True),
        ({"at_least": 3_599.0}, False),
        ({"now": NOW + 3_598.9}, True),
        ({"now": NOW + 3_599.0}, False),
    ],
)
def test_what_is_usable(question, usable):
    assert isinstance(elect(with_token(), **question)[1], Held) is usable


def test_a_token_never_has_more_left_than_its_writer_said():
    clock_was_ahead = with_token(ends=NOW + 3_689, lifetime=3_599.0)
    assert elect(clock_was_ahead)[1].remaining == 3_599.0


def test_an_invalidated_generation_is_never_answered():
    record = with_token(invalidated=3)
    assert isinstance(elect(record)[1], Lead)


def test_a_failure_is_respected_by_all_until_it_is_over():
    record = fail(led(), NOW, "a", 1, pause=30.0)
    for owner in ("a", "b"):
        assert elect(record, NOW + 29.5, owner)[1] == Refused("why", 0.5)
    record, answer = elect(record, NOW + 30)
    assert answer == Lead(2)
    assert record.setback is None


def test_a_fence_is_above_all_that_is_known_of():
    assert elect(Record(fence=4))[1].fence == 5
    assert elect(Record(fence=4, invalidated=9))[1].fence == 10
    assert elect(Record(fence=4), newer_than=20)[1].fence == 21


def test_the_heir_gets_the_ticket_with_its_history():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, _ = election.mark_sent(record, NOW + 2, "a", 1, 0)
    _, answer = elect(record, NOW + LEASE, "b")
    assert answer == Lead(2, Carried("code", 585.0, b"blob", 0, LEASE - 2))


def test_a_ticket_that_ended_is_dropped():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, answer = elect(record, NOW + 600, "b")
    assert answer == Lead(2)
    assert record.ticket is None


# ── attach and mark_sent ────────────────────────────────────────────────────────


def test_the_code_that_is_there_goes_before_another():
    record, first = election.attach(led(), NOW, "a", 1, CODE)
    again, used = election.attach(record, NOW + 1, "a", 1, Carried("x", 9.0, b"x"))
    assert first == CODE
    assert again is record
    assert used == Carried("code", 599.0, b"blob")


def test_a_code_that_ended_gives_way():
    record, _ = election.attach(led(), NOW, "a", 1, Carried("short", 1.0, b""))
    _, used = election.attach(record, NOW + 1, "a", 1, CODE)
    assert used == CODE


@pytest.mark.parametrize(("owner", "fence"), [("b", 1), ("a", 2), ("a", 0)])
def test_only_owner_and_fence_together_lead(owner, fence):
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    assert election.attach(record, NOW, owner, fence, CODE) == (record, None)
    assert election.mark_sent(record, NOW, owner, fence, 0) == (record, None)
    assert election.renew(record, NOW, owner, fence) == (record, False)
    assert fail(record, NOW, owner, fence) is record


def test_the_first_send_is_written_once():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, first = election.mark_sent(record, NOW + 1, "a", 1, 0)
    again, later = election.mark_sent(record, NOW + 9, "a", 1, 0)
    assert (first, later) == (0.0, 8.0)
    assert again is record


def test_a_new_epoch_has_a_first_send_of_its_own():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, _ = election.mark_sent(record, NOW, "a", 1, 0)
    record, sent = election.mark_sent(record, NOW + 5, "a", 1, 1)
    assert sent == 0.0
    assert record.ticket == StoredTicket("code", NOW + 600, b"blob", 1, NOW + 5)


def test_an_epoch_that_was_given_up_does_not_come_back():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, _ = election.mark_sent(record, NOW, "a", 1, 1)
    assert election.mark_sent(record, NOW + 5, "a", 1, 0) == (record, None)


def test_nothing_is_sent_without_a_ticket():
    record = led()
    assert election.mark_sent(record, NOW, "a", 1, 0) == (record, None)


# ── publish, adopt, invalidate, forget ──────────────────────────────────────────


def test_publication_ends_lead_ticket_and_setback():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, newer = publish(record, NOW + 1, "a", 1)
    assert newer is None
    assert record == Record(fence=1, token=StoredToken(1, NOW + 3_600, 3_599.0, b"new"))


def test_a_late_leader_is_refused_and_adopts_what_is_there():
    record = led("b", NOW + LEASE, led())
    record, _ = publish(record, NOW + LEASE, "b", 2, blob=b"newer")
    same, answer = publish(record, NOW + 20, "a", 1, remaining=9_999.0, blob=b"late")
    assert same == record
    assert answer == Held(2, 3_594.0, b"newer")


def test_a_late_leader_leaves_its_successor_alone():
    record = led("b", NOW + LEASE, led())
    record, _ = election.attach(record, NOW + LEASE, "b", 2, CODE)
    record, answer = publish(record, NOW + 20, "a", 1, blob=b"late")
    assert answer is None
    assert record.token.blob == b"late"
    assert record.leader.owner == "b"
    assert record.ticket is not None


def test_a_lower_fence_never_takes_the_place_of_a_higher_one_even_when_that_ended():
    record = with_token(generation=7, ends=NOW - 1)
    after, answer = publish(record, NOW, "a", 5)
    assert after == record
    assert answer is None


@pytest.mark.parametrize(
    ("remaining", "blob"), [(3_600.0, b"new"), (3_599.0, b"new"), (3_598.0, b"token")]
)
def test_of_equal_fences_the_later_end_wins(remaining, blob):
    record, _ = publish(with_token(), NOW, "a", 3, remaining=remaining)
    assert record.token.blob == blob


def test_an_invalidated_token_is_not_handed_to_a_late_leader():
    record = with_token(generation=2, invalidated=2)
    after, answer = publish(record, NOW, "a", 1)
    assert answer is None
    assert after == record


def test_what_is_not_above_the_invalidated_is_not_kept():
    record = Record(fence=4, invalidated=4)
    after, answer = publish(record, NOW, "a", 4)
    assert answer is None
    assert after.token is None


def test_a_leader_whose_token_came_from_elsewhere_is_done():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record, generation = election.adopt(record, NOW, remaining=3_599, blob=b"other")
    record, answer = publish(record, NOW, "a", 1)
    assert generation == 2
    assert answer == Held(2, 3_599.0, b"other")
    assert record.leader is None
    assert record.ticket is None


def test_a_token_from_outside_gets_the_next_fence():
    record, generation = election.adopt(
        Record(fence=4, invalidated=6), NOW, remaining=60.0, blob=b"new"
    )
    assert generation == 7
    assert record.token == StoredToken(7, NOW + 60, 60.0, b"new")


@pytest.mark.parametrize(("remaining", "kept"), [(3_599.0, 0), (3_599.1, 4)])
def test_a_token_from_outside_must_live_longer(remaining, kept):
    _, generation = election.adopt(with_token(), NOW, remaining=remaining, blob=b"")
    assert generation == kept


def test_a_token_from_outside_replaces_an_invalidated_one():
    record = with_token(invalidated=3)
    assert election.adopt(record, NOW, remaining=1.0, blob=b"")[1] == 4


def test_a_complaint_about_an_older_generation_never_lowers_the_mark():
    record = election.invalidate(Record(invalidated=5), 3)
    assert record.invalidated == 5


def test_a_forgotten_record_keeps_its_fence_alone():
    record = attrs.evolve(with_token(), leader=led().leader, ticket=None)
    assert election.forget(record) == Record(fence=3, invalidated=3)
    assert election.forget(Record(fence=1, invalidated=8)) == Record(8, None, 8)


# ── fail and renew ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keep", [True, False])
def test_a_failure_keeps_the_ticket_or_not(keep):
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    record = fail(record, NOW, "a", 1, keep_ticket=keep)
    assert (record.ticket is not None) is keep
    assert record.leader is None


def test_a_failure_without_a_pause_leaves_no_setback():
    assert fail(led(), NOW, "a", 1, pause=0.0).setback is None


def test_a_leader_that_renews_stays_and_not_for_ever():
    record, kept = led(), []
    for after in range(5, 46, 5):
        record, stays = election.renew(record, NOW + after, "a", 1)
        kept.append(stays)
        assert record.leader.until <= NOW + LONGEST_LEAD
    assert kept == [True] * 7 + [False] * 2


def test_a_lapsed_leader_that_nobody_replaced_renews():
    record, kept = election.renew(led(), NOW + LEASE + 1, "a", 1)
    assert kept
    assert record.leader.until == NOW + 2 * LEASE + 1


# ── The queue ───────────────────────────────────────────────────────────────────


def offered(*codes, record=None, now=NOW):
    record, answers = record or Record(), []
    for each in codes:
        record, queued = election.offer(record, now, each)
        answers.append(queued)
    return record, answers


def test_the_code_that_ends_first_is_taken_first():
    record, _ = offered(
        *(Carried(str(end), float(end), b"") for end in (300, 100, 200))
    )
    taken = []
    for _ in range(4):
        record, code = election.take(record, NOW)
        taken.append(code and code.seconds)
    assert taken == [100.0, 200.0, 300.0, None]


def test_a_known_code_is_not_queued_again():
    record, answers = offered(CODE, CODE)
    assert answers == [True, False]
    assert len(record.queue) == 1


def test_a_code_under_way_is_known():
    record, _ = election.attach(led(), NOW, "a", 1, CODE)
    assert offered(CODE, record=record)[1] == [False]


def test_only_so_many_codes_wait_and_the_dead_make_room():
    codes = [Carried(str(number), 60.0, b"") for number in range(MOST_CODES + 1)]
    record, answers = offered(*codes)
    assert answers == [True] * MOST_CODES + [False]
    assert offered(CODE, record=record, now=NOW + 60)[1] == [True]


def test_a_code_that_is_over_is_neither_queued_nor_taken():
    assert offered(Carried("dead", 0.0, b""))[1] == [False]
    record, _ = offered(Carried("short", 5.0, b""))
    assert election.take(record, NOW + 5) == (Record(), None)


def test_a_new_code_ends_a_pause():
    record = fail(led(), NOW, "a", 1)
    assert offered(CODE, record=record)[0].setback is None


# ── Looking again ───────────────────────────────────────────────────────────────


def test_looking_again_takes_longer_each_time_up_to_a_second():
    middle = [election.poll_pause(count, 0.5) for count in range(8)]
    assert middle == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert election.poll_pause(10_000, 0.0) == 0.5
    assert election.poll_pause(10_000, 1.0) == 1.5
