"""Records in the hands of another clock, and records that nobody needs any more."""

import pytest

from persona_share._protocol.stored import (
    LEEWAY,
    REMEMBERED,
    Carried,
    Leader,
    Record,
    Setback,
    StoredTicket,
    StoredToken,
    dies_at,
    is_from_the_future,
    moved,
)


NOW = 1_000.0
FULL = Record(
    fence=3,
    token=StoredToken(2, NOW + 3_599, 3_599.0, b"token"),
    invalidated=1,
    leader=Leader("a", 3, NOW, NOW + 15),
    ticket=StoredTicket("x", NOW + 600, b"code", 0, NOW - 2),
    setback=Setback("why", NOW + 30),
    queue=(StoredTicket("y", NOW + 90, b"queued"),),
)


def test_every_instant_moves_and_nothing_else():
    there = moved(FULL, -100.0)
    assert there.token == StoredToken(2, NOW + 3_499, 3_599.0, b"token")
    assert there.leader == Leader("a", 3, NOW - 100, NOW - 85)
    assert there.ticket == StoredTicket("x", NOW + 500, b"code", 0, NOW - 102)
    assert there.setback == Setback("why", NOW - 70)
    assert there.queue == (StoredTicket("y", NOW - 10, b"queued"),)
    assert (there.fence, there.invalidated) == (3, 1)
    assert moved(there, 100.0) == FULL
    assert moved(Record(), 5.0) == Record()


@pytest.mark.parametrize(("ahead", "too_far"), [(-9, False), (120, False), (121, True)])
def test_f81_f89_a_record_may_be_two_minutes_ahead(ahead, too_far):
    assert LEEWAY == 120
    assert is_from_the_future(NOW + ahead, NOW) is too_far


@pytest.mark.parametrize(
    ("record", "last"),
    [
        (Record(), NOW),
        (FULL, NOW + 3_599),
        (Record(queue=FULL.queue), NOW + 90),
        (Record(ticket=FULL.ticket, setback=FULL.setback), NOW + 600),
        (Record(setback=FULL.setback), NOW + 30),
    ],
)
def test_a_record_is_remembered_longer_than_any_token_lives(record, last):
    assert dies_at(record, NOW) == last + REMEMBERED
    assert REMEMBERED > 86_400


def test_a_ticket_comes_back_as_it_went_in():
    ticket = Carried("x", 600.0, b"code", 1, 7.5)
    assert StoredTicket.of(ticket, NOW).carried(NOW) == ticket
    assert StoredTicket.of(ticket, NOW).carried(NOW + 10) == Carried(
        "x", 590.0, b"code", 1, 17.5
    )


@pytest.mark.parametrize("value", [FULL, Carried("x", 1.0, b"token code queued")])
def test_no_blob_is_shown(value):
    assert not any(word in repr(value) for word in ("token'", "code'", "queued'"))
