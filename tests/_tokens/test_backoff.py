"""Scopes and credentials that are not tried for a while, and failures that stop no other."""

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import (
    CodeSourceError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
)


A, B, C = Scope.read("inq_1"), Scope.read("ver_2"), Scope.read("rep_3")


@pytest.mark.asyncio
async def test_refused_api_key_stops_all_scopes_for_a_minute(harness):
    harness.service.script = [Response(status=401)]
    manager = await harness.manager()
    with pytest.raises(ExchangeAuthenticationError):
        await manager.token(A)
    for scope in (A, B):
        with pytest.raises(ExchangeAuthenticationError) as caught:
            await manager.token(scope)
        assert 0 < caught.value.retry_after <= 60
    assert harness.partner.requested_scopes == [A]
    await harness.advance_clock(61)
    assert await harness.advance_until_done(manager.token(B))


@pytest.mark.asyncio
async def test_scope_that_is_forbidden_stops_no_other(harness):
    manager = await harness.manager()
    for forbidden, good in ((A, B), (C, A | B)):  # a success in between
        harness.service.script = [Response(status=403)]
        for _ in range(2):
            with pytest.raises(ExchangeForbiddenError):
                await manager.token(forbidden)
        assert await manager.token(good)
    assert harness.partner.requested_scopes == [A, B, C, A | B]


@pytest.mark.asyncio
async def test_second_scope_that_is_forbidden_stops_all(harness):
    manager = await harness.manager()
    harness.service.script = [Response(status=403)] * 2
    for scope in (A, B, C):
        with pytest.raises(ExchangeForbiddenError):
            await manager.token(scope)
    assert harness.partner.requested_scopes == [A, B]
    await harness.advance_clock(301)
    assert await harness.advance_until_done(manager.token(C))


@pytest.mark.asyncio
async def test_callers_during_a_backoff_get_errors_of_their_own(harness):
    harness.partner.script = [OSError("down")]
    manager = await harness.manager()
    found = []
    for _ in range(3):
        with pytest.raises(CodeSourceError) as caught:
            await manager.token(A)
        found.append(caught.value)
        harness.clock.advance(0.01)
    assert len(set(map(id, found))) == 3
    assert found[1].retry_after > found[2].retry_after > 0
    assert harness.partner.requested_scopes == [A]
