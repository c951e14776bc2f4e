"""Refreshes that no caller waits for: by pushed codes, and of pinned scopes."""

from datetime import timedelta

import pytest

from persona_share import Scope
from persona_share.model import events


A = Scope.read("inq_1")


def named_code(name):
    return f"{name}.{A.text.encode().hex()}"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("unused", "life", "exchanged"),
    [(0, 599, True), (1_500, 599, False), (0, 280, False)],
    ids=["in use", "idle", "it would add too little"],
)
async def test_offered_code_is_exchanged_at_its_last_safe_moment_if_that_adds_cover(
    harness, unused, life, exchanged
):
    manager = await harness.manager(codes=None)
    await manager.exchange(named_code("first"), scope=A)
    await harness.advance_clock(unused, step=100)
    expires_at = harness.clock.wall() + timedelta(seconds=life)
    await manager.offer(named_code("second"), A, expires_at=expires_at)
    await harness.advance_clock(life - 100, step=10)
    assert len(harness.service.requests) == 1
    await harness.advance_clock(45, step=5)
    assert len(harness.service.requests) == 1 + exchanged
    await harness.advance_clock(80, step=10)
    expired = harness.recorded(events.CodeExpiredUnused)
    assert len(expired) == (not exchanged)


@pytest.mark.asyncio
async def test_pinned_scope_is_tried_until_it_has_a_token_or_is_forgotten(harness):
    manager = await harness.manager()
    await manager.warm(A)
    for failures in (2, 99):
        asked = len(harness.partner.requested_scopes)
        harness.partner.script = [OSError("down")] * failures
        manager.invalidate(await manager.token(A))
        await harness.advance_clock(30, step=1)
        if failures == 2:
            assert manager.peek(A) is not None
            assert len(harness.partner.requested_scopes) == asked + 3
    await manager.forget(A)
    asked = len(harness.partner.requested_scopes)
    await harness.advance_clock(600, step=10)
    assert len(harness.partner.requested_scopes) == asked
