"""Tickets: a code changes its state along a few paths, and nothing else."""

import attrs
import pytest

from persona_share import Scope
from persona_share._tokens.tickets import Pool, Ticket, TicketState as S, code_id
from persona_share.errors import InvalidArgumentError
from persona_share.model.policy import RenewalPolicy
from persona_share.model.secret import Secret


SCOPE = Scope.read("inq_1")
#: token-manager.md §6.4, with the way back into the queue of a code that never left.
LEGAL = {
    (S.QUEUED, S.CLAIMED),
    (S.QUEUED, S.EXPIRED_UNUSED),
    (S.CLAIMED, S.QUEUED),
    (S.CLAIMED, S.SENT),
    (S.CLAIMED, S.IN_DOUBT),
    (S.SENT, S.REDEEMED),
    (S.SENT, S.REJECTED),
    (S.SENT, S.IN_DOUBT),
    (S.SENT, S.CLAIMED),
    (S.IN_DOUBT, S.CLAIMED),
    (S.IN_DOUBT, S.DEAD),
    (S.QUEUED, S.HANDED_ON),
    (S.CLAIMED, S.HANDED_ON),
    (S.IN_DOUBT, S.HANDED_ON),
    (S.CLAIMED, S.REDEEMED),
}


def ticket(code="code", state=S.QUEUED, **facts):
    secret = Secret(code)
    values = {"received_at": 0.0, "deadline": 594.0, "hint": SCOPE, **facts}
    return Ticket(secret=secret, id=code_id(secret), state=state, **values)


@pytest.mark.parametrize("before", S)
@pytest.mark.parametrize("after", S)
def test_the_table_of_changes(before, after):
    each = ticket(state=before)
    if (before, after) in LEGAL:
        each.become(after)
        assert each.state is after
    else:
        with pytest.raises(RuntimeError, match="cannot go from"):
            each.become(after)
        assert each.state is before


@pytest.mark.parametrize(
    "end", [S.REDEEMED, S.REJECTED, S.EXPIRED_UNUSED, S.DEAD, S.HANDED_ON]
)
def test_an_ended_code_is_forgotten_and_its_id_is_not(end):
    each = ticket(state=next(before for before, after in LEGAL if after is end))
    each.become(end)
    assert each.secret is None
    assert each.id == code_id(Secret("code"))


def test_the_first_send_under_a_key_is_noted_once():
    each = ticket(state=S.CLAIMED)
    each.mark_sent(10.0, epoch=0)
    each.mark_sent(20.0, epoch=0)
    assert each.first_sent_at == 10.0
    each.mark_sent(30.0, epoch=1)
    assert (each.first_sent_at, each.epoch) == (30.0, 1)


@pytest.mark.parametrize(
    ("before", "first_sent_at", "after"),
    [
        (S.QUEUED, None, S.QUEUED),
        (S.CLAIMED, None, S.QUEUED),
        (S.CLAIMED, 10.0, S.IN_DOUBT),
        (S.SENT, 10.0, S.IN_DOUBT),
        (S.REDEEMED, 10.0, S.REDEEMED),
    ],
)
def test_a_code_that_is_let_go_returns_to_where_it_may_be(before, first_sent_at, after):
    each = ticket(state=before, first_sent_at=first_sent_at)
    each.let_go()
    assert each.state is after


def test_a_code_let_go_after_it_was_sent_may_be_asked_again_under_its_key():
    each = ticket(state=S.SENT, first_sent_at=10.0)
    each.let_go()
    assert each.may_be_sent


def test_neither_a_ticket_nor_its_repr_shows_the_code():
    assert "canary" not in repr(ticket("canary"))


# ── The pool ────────────────────────────────────────────────────────────────────


@pytest.fixture
def pool():
    return Pool(RenewalPolicy())


def test_a_code_in_doubt_comes_before_one_that_waits(pool):
    doubtful = ticket("a", S.IN_DOUBT, first_sent_at=1.0, replayable=True)
    pool.add(ticket("b"))
    pool.add(doubtful)
    assert pool.fitting(SCOPE, 5.0) is doubtful


def test_a_code_that_is_claimed_is_not_handed_out_again(pool):
    doubtful = ticket("a", S.IN_DOUBT, first_sent_at=1.0, replayable=True)
    pool.add(doubtful)
    doubtful.become(S.CLAIMED)
    assert pool.fitting(SCOPE, 5.0) is None


def test_a_code_in_doubt_that_cannot_be_asked_again_is_not_handed_out(pool):
    pool.add(ticket("a", S.IN_DOUBT, first_sent_at=1.0))
    assert pool.fitting(SCOPE, 5.0) is None


def test_a_code_serves_every_part_of_its_scope_and_no_more(pool):
    pool.add(ticket(hint=Scope.read("inq_1", "inq_2")))
    assert pool.fitting(SCOPE, 0.0) is not None
    assert pool.fitting(Scope.read("inq_3"), 0.0) is None


def test_expiring_answers_only_what_ended_unused(pool):
    unused, doubtful = ticket("a"), ticket("b", S.IN_DOUBT, first_sent_at=1.0)
    pool.add(unused)
    pool.add(doubtful)
    pool.add(ticket("c", deadline=2000.0))
    assert pool.expire(600.0) == [unused]
    assert (unused.state, doubtful.state) == (S.EXPIRED_UNUSED, S.DEAD)
    assert len(pool) == 1


def test_a_code_at_work_does_not_expire_under_its_flight(pool):
    busy = ticket(state=S.SENT, first_sent_at=1.0)
    pool.add(busy)
    pool.expire(600.0)
    assert busy.state is S.SENT


def test_codes_at_work_do_not_count_as_waiting(pool):
    for number in range(8):
        each = ticket(str(number))
        pool.add(each)
        each.become(S.CLAIMED)
    pool.add(ticket("one more"))
    assert len(pool) == 1


def test_what_is_over_is_remembered_within_a_bound():
    pool = Pool(RenewalPolicy(most_codes=4, most_codes_a_scope=4))
    for number in range(200):
        each = ticket(str(number), received_at=float(number))
        pool.add(each)
        for state in (S.CLAIMED, S.SENT, S.REDEEMED):
            each.become(state)
    remembered = [pool.known(Secret(str(number))) for number in range(200)]
    assert remembered[-1] is not None
    assert sum(each is not None for each in remembered) <= 4 * 4 + 1


def test_what_waits_is_never_forgotten_for_what_is_over():
    pool = Pool(RenewalPolicy(most_codes=4, most_codes_a_scope=4))
    waiting = ticket("waiting")
    pool.add(waiting)
    for number in range(100):
        each = ticket(str(number))
        pool.add(each)
        for state in (S.CLAIMED, S.SENT, S.REJECTED):
            each.become(state)
    assert pool.known(Secret("waiting")) is waiting


def test_too_many_waiting_codes_are_refused_without_being_kept(pool):
    for number in range(8):
        pool.add(ticket(str(number)))
    with pytest.raises(InvalidArgumentError):
        pool.add(ticket("ninth"))
    assert pool.known(Secret("ninth")) is None


def test_a_ticket_is_one_of_a_kind():
    each = ticket()
    assert each != attrs.evolve(each)
