"""Held tokens: found by what they cover, bounded in number, renewed by one alone."""

import asyncio

import pytest

from persona_share import Scope
from persona_share._tokens.entries import Entries, Entry
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.token import AccessToken
from persona_share.testing import FakeClock


CLOCK = FakeClock()
NOW = CLOCK.now()
A, B, C = (Scope.read(f"inq_{number}") for number in (1, 2, 3))


def entry(scope, *, asked=None, ends=3599.0, last_used=0.0, pinned=False):
    token = AccessToken(
        "token", scope=scope, generation=1, ends=NOW + ends, lifetime=3599, clock=CLOCK
    )
    return Entry(
        token,
        asked=scope if asked is None else asked,
        refresh_at=NOW + ends - 600,
        last_used=NOW + last_used,
        pinned=pinned,
    )


def entries_of(*all_of_them, **policy):
    entries = Entries(RenewalPolicy(**policy))
    for each in all_of_them:
        entries.put(each)
    return entries


def test_the_smallest_token_that_covers_a_scope_serves_it():
    wide, middle = entry(A | B | C), entry(A | B)
    assert entries_of(wide, middle).serving(A, NOW) is middle


def test_of_two_as_small_the_one_that_lives_longer_serves():
    short, long = entry(A | B, ends=1000), entry(A | C, ends=2000)
    assert entries_of(short, long).serving(A, NOW) is long


def test_exactly_the_scope_is_preferred_even_if_it_ends_sooner():
    exact, wide = entry(A, ends=1000), entry(A | B)
    assert entries_of(wide, exact).serving(A, NOW) is exact
    assert entries_of(wide, exact).serving(A, NOW + 1000) is wide


def test_a_token_serves_nothing_that_it_does_not_cover():
    assert entries_of(entry(A), entry(B)).serving(A | B, NOW) is None


def test_exact_only_keeps_wider_tokens_from_other_scopes():
    wide = entry(A | B)
    assert entries_of(wide, exact_only=True).serving(A, NOW) is None


def test_exact_only_serves_a_wider_token_to_the_scope_that_it_was_brought_for():
    wide = entry(A | B, asked=A)
    assert entries_of(wide, exact_only=True).serving(A, NOW) is wide


def test_a_dropped_token_is_found_no_more_and_sends_sessions_to_look():
    each = entry(A | B)
    entries = entries_of(each, entry(A))
    entries.drop(A | B)
    assert entries.serving(B, NOW) is None
    assert entries.serving(A, NOW) is not None
    assert each.refresh_at < NOW


def test_over_the_bound_ended_tokens_go_first_and_then_the_longest_idle():
    ended = entry(A, ends=0, last_used=9)
    idle, busy = entry(B, last_used=1), entry(C, last_used=2)
    entries = entries_of(busy, idle, ended, most_tokens=2)
    assert entries.evict(NOW, lambda _: False) == [ended]
    entries.put(entry(A | B, last_used=3))
    assert entries.evict(NOW, lambda _: False) == [idle]


def test_what_is_busy_is_never_evicted():
    entries = entries_of(entry(A), entry(B), most_tokens=1)
    assert entries.evict(NOW, lambda _: True) == []


def test_a_wider_grant_takes_the_place_of_the_token_that_it_renews():
    old, new = entry(A, pinned=True), entry(A | B, asked=A)
    entries = entries_of(old)
    assert entries.put(new)
    assert list(entries) == [new]
    assert new.pinned


def test_a_narrower_grant_leaves_the_wide_token_to_its_end():
    old, new = entry(A | B, asked=A, pinned=True), entry(A)
    entries = entries_of(old)
    assert entries.put(new)
    assert (old.asked, old.pinned, new.pinned) == (Scope(), False, True)
    assert entries.serving(B, NOW) is old


def test_a_token_of_another_scope_renews_nothing():
    entries = entries_of(entry(A | B))
    assert not entries.put(entry(A))
    assert len(entries) == 2


# ── In a manager ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_more_tokens_than_the_bound_are_never_held(house):
    manager = await house.manager(renewal=RenewalPolicy(most_tokens=50))
    for number in range(200):
        await manager.token(Scope.read(f"inq_{number}"))
        assert len(manager.tokens()) <= 51
    assert manager.metrics().evicted >= 149
    assert sum(event.count for event in house.told(events.TokensEvicted)) == (
        manager.metrics().evicted
    )


@pytest.mark.asyncio
async def test_a_token_kept_warm_is_not_evicted(house):
    manager = await house.manager(renewal=RenewalPolicy(most_tokens=5))
    await manager.warm(A)
    kept = await manager.token(A)
    for number in range(20):
        house.clock.advance(1)
        await manager.token(Scope.read(f"ver_{number}"))
    assert manager.peek(A) is kept


@pytest.mark.asyncio
async def test_a_scope_that_somebody_waits_for_is_not_evicted(house):
    manager = await house.manager(renewal=RenewalPolicy(most_tokens=2))
    held = await manager.token(A)
    house.clock.advance(3599 - 30)
    house.service.delay = 5
    waiting = asyncio.ensure_future(manager.token(A))
    await house.settle()
    house.service.delay = 0
    for number in range(6):
        await manager.token(Scope.read(f"ver_{number}"))
    assert manager.peek(A) is held
    assert (await house.soon(waiting)).scope == A


@pytest.mark.asyncio
async def test_what_was_evicted_is_brought_again_when_it_is_asked_for(house):
    manager = await house.manager(renewal=RenewalPolicy(most_tokens=1))
    first = await manager.token(A)
    for scope in (B, C):
        house.clock.advance(1)
        await manager.token(scope)
    assert manager.peek(A) is None
    assert (await manager.token(A)).generation > first.generation


@pytest.mark.asyncio
async def test_when_a_partner_begins_to_grant_more_a_renewal_costs_one_code(house):
    manager = await house.manager()
    await manager.warm(A)
    house.service.grants = A | B
    for _ in range(3599 // 10):
        await house.pass_time(10)
        await manager.token(A)
    # One renewal of the first token, and one more may have begun.
    assert len(house.service.requests) <= 3


@pytest.mark.asyncio
async def test_when_a_partner_begins_to_grant_less_a_renewal_costs_one_code(house):
    house.service.grants = A | B
    manager = await house.manager()
    await manager.token(A)
    house.service.grants = A
    for _ in range(3500 // 10):
        await house.pass_time(10)
        await manager.token(A)
        assert manager.peek(A) is not None
    assert len(house.service.requests) <= 3


@pytest.mark.asyncio
async def test_exact_only_under_wider_grants_costs_one_code_as_well(house):
    house.service.grants = A | B
    manager = await house.manager(renewal=RenewalPolicy(exact_only=True))
    for _ in range(10):
        await manager.token(A)
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_forgetting_ends_what_the_scope_was_brought_for(house):
    house.service.grants = A | B
    manager = await house.manager()
    await manager.warm(A)
    await manager.forget(A)
    assert manager.tokens() == ()
    await house.pass_time(8000, step=50)
    assert len(house.service.requests) == 1
