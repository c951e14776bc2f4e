"""Consents: granted, revoked and listed; whatever fails means no consent."""

from datetime import date, datetime, timedelta, timezone

import pytest

from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidScopeError,
)
from persona_share.model.scope import Scope
from persona_share.partner import Consents
from persona_share.stores import MemoryStore
from persona_share.testing import FakeClock, fake_runtime
from tests.partner.conftest import START


pytestmark = pytest.mark.asyncio
BOTH = Scope.parse("inquiry.read:inq_1 inquiry.read:inq_2")


class Harness:
    def __init__(self):
        self.clock = FakeClock(START)
        runtime = fake_runtime(self.clock)
        self.store = MemoryStore(runtime=runtime)
        self.consents = Consents(self.store, _runtime=runtime)

    async def grant(self, scope, partner="org_1", days=30, by="form-1"):
        until = self.clock.wall() + timedelta(days=days)
        return await self.consents.grant(partner, scope, until=until, by=by)

    async def listed(self, partner=None):
        return {
            (each.partner, str(each.scope), each.by)
            async for each in self.consents.list(partner)
        }


@pytest.fixture
def harness():
    return Harness()


async def test_only_granted_scopes_are_allowed(harness):
    await harness.grant(BOTH)
    asked = BOTH | Scope.parse("inquiry.write:inq_1 inquiry.read:inq_3")
    assert await harness.consents.allowed("org_1", asked) == BOTH
    assert await harness.consents.allowed("org_2", asked) == Scope()


async def test_revocation_removes_exactly_the_named_scopes(harness):
    write = Scope.parse("inquiry.write:inq_1")
    await harness.grant(BOTH | write)
    removed = await harness.consents.revoke("org_1", "inquiry.read:inq_1")
    assert [str(each.scope) for each in removed] == ["inquiry.read:inq_1"]
    left = await harness.consents.allowed("org_1", BOTH | write)
    assert left == Scope.parse("inquiry.read:inq_2 inquiry.write:inq_1")
    assert await harness.consents.revoke("org_1", "inquiry.read:inq_1") == []


async def test_all_consents_of_a_partner_are_revoked_at_once(harness):
    await harness.grant(BOTH)
    await harness.grant(BOTH, partner="org_2")
    assert len(await harness.consents.revoke("org_1")) == 2
    assert await harness.consents.allowed("org_1", BOTH) == Scope()
    assert await harness.consents.allowed("org_2", BOTH) == BOTH


async def test_granting_again_replaces_the_date_and_the_reference(harness):
    await harness.grant(BOTH, days=1)
    await harness.grant(BOTH, days=30, by="form-2")
    harness.clock.advance(2 * 86_400)
    assert await harness.consents.allowed("org_1", BOTH) == BOTH
    assert {each[2] for each in await harness.listed()} == {"form-2"}


async def test_granting_one_permission_keeps_the_others(harness):
    await harness.grant("inquiry.read:inq_1", days=30)
    await harness.grant("inquiry.write:inq_1", days=1)
    harness.clock.advance(2 * 86_400)
    assert await harness.listed() == {("org_1", "inquiry.read:inq_1", "form-1")}


async def test_consent_expires_by_the_wall_clock(harness):
    await harness.grant(BOTH, days=1)
    harness.clock.step_wall(86_400)
    assert await harness.consents.allowed("org_1", BOTH) == Scope()
    assert await harness.listed() == set()


async def test_all_consents_or_those_of_one_partner_are_listed(harness):
    await harness.grant(BOTH)
    await harness.grant("inquiry.read:inq_1", partner="org_2", by="form-9")
    assert len(await harness.listed()) == 3
    assert await harness.listed("org_2") == {("org_2", "inquiry.read:inq_1", "form-9")}


async def test_names_of_records_hold_no_ids(harness):
    await harness.grant(BOTH)
    keys = [key async for key in harness.store.keys("")]
    assert len(keys) == 2
    assert not any("inq_" in key or "org_" in key for key in keys)


@pytest.mark.parametrize(
    "scope", ["", "inquiry.read", "inquiry.read:inq_1 inquiry.read"]
)
async def test_consent_needs_objects(harness, scope):
    with pytest.raises(InvalidScopeError):
        await harness.grant(scope)


@pytest.mark.parametrize(
    ("until", "by"),
    [
        (START, "form-1"),
        (datetime(2027, 1, 1), "form-1"),  # noqa: DTZ001 — that is the point
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "form-1"),
        (START + timedelta(1), ""),
        (START + timedelta(1), "x" * 129),
        (START + timedelta(1), "a\nb"),
        (START + timedelta(1), 7),
        (date(2027, 1, 1), "form-1"),
        ("2027-01-01", "form-1"),
    ],
)
async def test_consent_needs_a_date_and_a_reference(harness, until, by):
    with pytest.raises(InvalidArgumentError):
        await harness.consents.grant("org_1", BOTH, until=until, by=by)


async def test_store_that_evicts_records_is_refused():
    class Cache(MemoryStore):
        async def evicts(self):
            return True

    consents = Consents(Cache())
    with pytest.raises(ConfigurationError):
        await consents.grant(
            "org_1", BOTH, until=datetime.max.replace(tzinfo=START.tzinfo), by="x"
        )


async def test_consents_need_a_store():
    with pytest.raises(ConfigurationError):
        Consents("consents.db")
