"""The main job works with every undocumented behavior of the service.

One scenario with a lost response, a stored failure, hours of refreshes and a revocation,
once for each setting of each switch of the sandbox that a token's life may depend on.
"""

import asyncio

import pytest

from persona_share import Scope
from persona_share.errors import (
    CodeRejectedError,
    ExchangeForbiddenError,
)


TOKEN = "POST /oauth/token"
#: The switches and their other settings (token-manager.md §8.1), and how many codes
#: the lost response of the scenario may cost under them.
SETTINGS = [
    ({}, 0),
    # The response to a code that cannot be exchanged.
    *(({"used_code_status": status}, 0) for status in (404, 409, 422)),
    *(({"oauth_replays": False, "used_code_status": s}, 1) for s in (400, 404, 422)),
    # P1, P4: whether an exchange is replayed, and what a second one does.
    ({"oauth_replays": False, "reuse_revokes_token": False}, 1),
    ({"oauth_replays": False, "code_is_single_use": False}, 0),
    (
        {
            "oauth_replays": False,
            "code_is_single_use": False,
            "reuse_revokes_token": False,
        },
        0,
    ),
    # P2: a duplicate of a request that is on its way.
    ({"inflight_duplicate": "conflict"}, 0),
    ({"inflight_duplicate": "run"}, 0),
    # P5, P6: among whom a key is unique, and what counts as a parameter.
    ({"key_namespace": "environment"}, 0),
    ({"key_namespace": "global"}, 0),
    ({"headers_are_parameters": True}, 0),
    ({"mismatch_status": 409}, 0),
    ({"mismatch_status": 422}, 0),
    # P7: what a replay looks like.
    ({"replay_updates_expires_in": True}, 0),
    ({"replay_date": "first"}, 0),
    ({"replay_marker": "Idempotent-Replayed"}, 0),
    ({"replay_request_id": "new"}, 0),
    # P8, and the limits' other open points.
    ({"replay_counts_against_limit": False, "key_limit": 100}, 0),
    ({"key_limit": 100, "rate_limit_headers_on_401": True}, 0),
    ({"limit_of_scoped_token": "source", "key_limit": 100}, 0),
    # P9: whether two tokens of one scope live side by side.
    ({"second_token_revokes_first": True}, 0),
    # P10: a token that is not known everywhere at once.
    ({"new_token_401_seconds": 0.9}, 0),
    ({"new_token_401_seconds": 2.5}, 0),
    # P11: lifetimes that are not what is announced.
    *(({"lifetime_slack": seconds}, 0) for seconds in (-60.0, -5.0, 60.0)),
    *(({"code_lifetime_slack": seconds}, 0) for seconds in (-560.0, 60.0)),
    # P12: how the granted scope is written.
    ({"scope_order": "canonical"}, 0),
    ({"scope_order": "shuffled"}, 0),
    ({"scope_duplicates": "kept"}, 0),
    ({"scope_case": "lowered"}, 0),
    # P13, P14: what is kept, and for how long.
    ({"key_retention": 0.05}, 1),
    ({"key_retention": 3600.0}, 0),
    ({"keeps_server_errors": False}, 0),
    # Others that a token's life passes by.
    ({"success_status": 200}, 0),
    ({"token_casing": "Bearer"}, 0),
    ({"expired_token_status": 403}, 0),
    ({"out_of_scope_status": 404}, 0),
    ({"token_environment": "destination"}, 0),
    ({"token_inherits": "issuer"}, 0),
    ({"token_inherits": "holder"}, 0),
]


def named(value):
    """Name a case by its switches."""
    if not isinstance(value, dict):
        return ""
    return " ".join(f"{key}={each}" for key, each in value.items()) or "as documented"


def set_switches(sandbox, settings):
    for name, value in settings.items():
        assert hasattr(sandbox.switches, name)
        setattr(sandbox.switches, name, value)


async def quiet(scenario, manager):
    """Let started refreshes finish before time advances."""
    while manager.metrics().acquiring:
        await asyncio.sleep(0.005)  # noqa: TID251  # real sockets take their time
        scenario.clock.advance(0.25)


@pytest.mark.asyncio
@pytest.mark.parametrize(("settings", "lost"), SETTINGS, ids=named)
async def test_main_job_works_with_every_switch(scenario, settings, lost):
    set_switches(scenario.sandbox, settings)
    sandbox, log = scenario.sandbox, scenario.sandbox.log
    inquiry, verification = sandbox.add_inquiry(), sandbox.add_verification()
    scope = Scope.read(inquiry.id, verification.id)
    began = scenario.clock.now()
    async with scenario.manager() as manager:
        session = manager.session(scope)

        async def read():
            return await scenario.advance_until_done(
                session.inquiries.retrieve(inquiry.id)
            )

        sandbox.faults.lose_answer(TOKEN)
        assert (await read()).id == inquiry.id
        assert scenario.authorized <= 1 + lost
        sandbox.faults.answer(TOKEN, 500, stored=True)
        for _ in range(3 * 12):
            scenario.clock.advance(300)
            assert (await read()).id == inquiry.id
            await quiet(scenario, manager)
        before = scenario.authorized
        scenario.clock.advance(60)
        if "new_token_401_seconds" not in settings:
            sandbox.revoke(str(scope))
        assert (await read()).id == inquiry.id
        assert scenario.authorized <= before + 1
    # Each token is renewed 300 to 900 s before its end, and one was revoked.
    elapsed = scenario.clock.now() - began
    assert scenario.authorized <= 1 + lost + elapsed / 2_699 + 1, elapsed
    assert log.count(status=403) == 0
    assert log.crashes == []


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_expired_code_is_reported_with_every_status(scenario, status):
    switches = scenario.sandbox.switches
    switches.expired_code_status = switches.foreign_code_status = status
    switches.unknown_code_status = status
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    async with scenario.manager(codes=None) as manager:
        expired = await scenario.ask_partner(scope)
        scenario.sandbox.expire_codes()
        other_organization = scenario.sandbox.add_organization()
        foreign = await scenario.source.oauth.authorize(
            client_id=other_organization.id, scope=scope
        )
        for code in (expired, foreign, "unknown"):
            with pytest.raises(CodeRejectedError) as caught:
                await scenario.advance_until_done(manager.exchange(code))
            assert caught.value.status == status
            scenario.clock.advance(61)


@pytest.mark.asyncio
async def test_code_is_tried_when_its_expiry_contradicts_the_clock(
    scenario,
):
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    code = await scenario.ask_partner(scope)
    scenario.clock.advance(600)
    async with scenario.manager(codes=None) as manager:
        with pytest.raises(CodeRejectedError, match="clock"):
            await manager.exchange(code)
    assert scenario.sandbox.log.count(operation=TOKEN) == 1


@pytest.mark.asyncio
async def test_interrupted_exchange_costs_one_code(scenario):
    """The first request is still running when the second arrives."""
    for behaviour in ("wait", "conflict"):
        scenario.sandbox.switches.inflight_duplicate = behaviour
        scope = Scope.read(scenario.sandbox.add_inquiry().id)
        before = scenario.authorized
        scenario.sandbox.faults.delay(TOKEN, 0.3)
        async with scenario.manager() as manager:
            bringing = asyncio.ensure_future(manager.token(scope))
            await scenario.advance_until_done(asyncio.wait({bringing}), step=1)
            assert bringing.result()
        assert scenario.authorized == before + 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "limit",
    [
        {"key_limit": 1},
        {"key_limit": 1, "retry_after_on_429": True},
        {"oauth_quota": 1, "quota_prefix": "Quota"},
        {"oauth_quota": 1, "quota_prefix": "QuotaLimit"},
    ],
    ids=named,
)
@pytest.mark.parametrize("rounding", ["up", "down", "exact"])
async def test_call_waits_after_a_429_for_every_form_of_reset(
    scenario, rounding, limit
):
    sandbox = scenario.sandbox
    sandbox.switches.reset_rounding = rounding
    scopes = [Scope.read(sandbox.add_inquiry().id) for _ in range(2)]
    codes = [await scenario.ask_partner(scope) for scope in scopes]
    set_switches(sandbox, limit)
    async with scenario.manager(codes=None) as manager:
        exchanges = asyncio.gather(*(manager.exchange(code) for code in codes))
        assert await scenario.advance_until_done(exchanges, step=2) == scopes
    # The rate limit is kept; a quota shows only in a 429.
    assert ("oauth_quota" in limit) <= sandbox.log.count(status=429) <= 20


@pytest.mark.asyncio
async def test_used_up_quota_is_reported_when_it_responds_403(scenario):
    sandbox = scenario.sandbox
    sandbox.switches.quota_status = 403
    scopes = [Scope.read(sandbox.add_inquiry().id) for _ in range(2)]
    codes = [await scenario.ask_partner(scope) for scope in scopes]
    sandbox.switches.oauth_quota = 1
    async with scenario.manager(codes=None) as manager:
        await manager.exchange(codes[0])
        with pytest.raises(ExchangeForbiddenError, match="Quota exceeded"):
            await manager.exchange(codes[1])
        sandbox.switches.oauth_quota = None
        fresh = await scenario.ask_partner(scopes[1])
        assert await manager.exchange(fresh) == scopes[1]
