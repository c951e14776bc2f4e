"""A partner grants more than was asked for: a session stays within its own scope."""

import pytest

from persona_share import RenewalPolicy, Scope
from persona_share.errors import ScopeNotCoveredError


def grant_more(scenario, other):
    """Make the service grant another inquiry with each scope."""
    scenario.sandbox.switches.grants = lambda scope: f"{scope} inquiry.read:{other}"


@pytest.mark.asyncio
async def test_session_of_a_broader_token_retrieves_and_does_not_list(scenario):
    own, other = [scenario.sandbox.add_inquiry().id for _ in range(2)]
    grant_more(scenario, other)
    async with scenario.manager() as manager:
        session = manager.session(Scope.read(own))
        for _ in range(2):
            with pytest.raises(ScopeNotCoveredError, match="covers more"):
                await session.inquiries.list()
            with pytest.raises(ScopeNotCoveredError, match="covers more"):
                await session.inquiries.retrieve(own, include=["sessions"])
        assert (await session.inquiries.retrieve(own)).id == own
        with pytest.raises(ScopeNotCoveredError):
            await session.inquiries.retrieve(other)


@pytest.mark.asyncio
async def test_list_is_not_repeated_with_a_token_that_is_broader(scenario):
    own, other = [scenario.sandbox.add_inquiry().id for _ in range(2)]
    async with scenario.manager() as manager:
        session = manager.session(Scope.read(own))
        assert [each.id for each in await session.inquiries.list()] == [own]
        scenario.clock.advance(60)
        grant_more(scenario, other)
        scenario.sandbox.revoke(Scope.read(own).text)
        with pytest.raises(ScopeNotCoveredError, match="covers more") as caught:
            await scenario.advance_until_done(session.inquiries.list())
        assert [each.status for each in caught.value.attempts] == [401, 401]


@pytest.mark.asyncio
async def test_broader_token_is_used_without_restriction_when_that_is_accepted(
    scenario,
):
    own, other = [scenario.sandbox.add_inquiry().id for _ in range(2)]
    grant_more(scenario, other)
    async with scenario.manager(renewal=RenewalPolicy(accept_broader=True)) as manager:
        page = await manager.session(Scope.read(own)).inquiries.list()
        assert {each.id for each in page} == {own, other}
