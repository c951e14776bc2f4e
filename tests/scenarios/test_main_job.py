"""The main job: share and fetch while many tokens expire."""

import asyncio

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import (
    AuthenticationError,
    CodeRejectedError,
    ExchangeForbiddenError,
    InvalidScopeError,
    NotFoundError,
    ScopeNotCoveredError,
)
from persona_share.model.inquiry import InquiryStatus
from persona_share.sandbox import Sandbox


@pytest.mark.asyncio
async def test_no_request_fails_during_a_day_of_refreshes(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    verification = scenario.sandbox.add_verification(inquiry=inquiry.id)
    async with scenario.manager() as manager:
        session = manager.session(Scope.read(inquiry.id, verification.id))
        for _ in range(24 * 12):
            shared = await session.inquiries.retrieve(inquiry.id)
            assert shared.id == inquiry.id
            assert shared.status is InquiryStatus.COMPLETED
            await scenario.clock.settle()
            scenario.clock.advance(300)
        assert (await session.verifications.retrieve(verification.id)).id
    log = scenario.sandbox.log
    assert log.count(status=401) == log.count(status=403) == log.count(status=404) == 0
    # 86,400 s of tokens that are renewed 300 to 900 s before the end of 3,599 s.
    assert 24 <= log.tokens_issued <= 86_400 / 2_699 + 1
    assert log.codes_redeemed == log.tokens_issued == scenario.authorized


@pytest.mark.asyncio
async def test_many_sessions_of_one_scope_share_one_token(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    async with scenario.manager() as manager:
        await asyncio.gather(
            *(
                manager.session(Scope.read(inquiry.id)).inquiries.retrieve(inquiry.id)
                for _ in range(100)
            )
        )
    assert scenario.sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_each_request_has_the_token_of_its_own_scope(scenario):
    names = [scenario.sandbox.add_inquiry().id for _ in range(20)]
    async with scenario.manager() as manager:
        fetched = await asyncio.gather(
            *(
                manager.session(Scope.read(name)).inquiries.retrieve(name)
                for name in names
            )
        )
    assert [each.id for each in fetched] == names
    assert scenario.sandbox.log.tokens_issued == 20
    assert scenario.sandbox.log.count(status=403) == 0


@pytest.mark.asyncio
async def test_delivered_code_gives_access_to_its_objects(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    code = await scenario.ask_partner(Scope.read(inquiry.id))
    async with scenario.manager(codes=None) as manager:
        scope = await manager.exchange(code.reveal())
        assert scope == Scope.read(inquiry.id)
        assert (await manager.session(scope).inquiries.retrieve(inquiry.id)).id


@pytest.mark.asyncio
async def test_call_outside_the_scope_is_refused_before_anything_is_sent(scenario):
    inquiry, other = scenario.sandbox.add_inquiry(), scenario.sandbox.add_inquiry()
    async with scenario.manager() as manager:
        session = manager.session(Scope.read(inquiry.id))
        with pytest.raises(ScopeNotCoveredError) as caught:
            await session.inquiries.retrieve(other.id)
        assert caught.value.missing == f"inquiry.read:{other.id}"
        with pytest.raises(ScopeNotCoveredError):
            await session.verifications.retrieve("ver_1")
        with pytest.raises(ScopeNotCoveredError):
            await session.request("GET", f"/inquiries/{other.id}")
        with pytest.raises(ScopeNotCoveredError):
            await session.request(
                "GET", "/devices/{device-id}", path_params={"device-id": "dev_1"}
            )
    assert len(scenario.sandbox.log) == 0


@pytest.mark.asyncio
async def test_session_can_be_narrowed_and_never_widened(scenario):
    one, two = scenario.sandbox.add_inquiry(), scenario.sandbox.add_inquiry()
    async with scenario.manager() as manager:
        wide = manager.session(Scope.read(one.id, two.id))
        await wide.inquiries.retrieve(one.id)
        narrow = wide.narrow(Scope.read(two.id))
        assert (await narrow.inquiries.retrieve(two.id)).id == two.id
        with pytest.raises(ScopeNotCoveredError):
            narrow.narrow(wide.scope)
    assert scenario.sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_destination_key_gives_no_access_to_objects_of_the_source(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    with pytest.raises(NotFoundError):
        await scenario.destination.inquiries.retrieve(inquiry.id)


@pytest.mark.asyncio
async def test_code_of_another_organization_is_refused(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    other_organization = scenario.sandbox.add_organization()
    code = await scenario.source.oauth.authorize(
        client_id=other_organization.id, scope=Scope.read(inquiry.id)
    )
    async with scenario.manager(codes=None) as manager:
        with pytest.raises(CodeRejectedError):
            await manager.exchange(code)


@pytest.mark.asyncio
async def test_f11_lost_response_costs_neither_code_nor_token(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    scenario.sandbox.faults.lose_answer("POST /oauth/token", times=2)
    async with scenario.manager() as manager:
        token = await scenario.advance_until_done(manager.token(Scope.read(inquiry.id)))
        session = manager.session(Scope.read(inquiry.id))
        assert (await session.inquiries.retrieve(inquiry.id)).id
    assert token.lifetime == 3599
    assert scenario.authorized == scenario.sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_f79_revoked_token_is_replaced_at_the_cost_of_one_code(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with scenario.manager() as manager:
        session = manager.session(scope)
        await session.inquiries.retrieve(inquiry.id)
        scenario.clock.advance(60)
        scenario.sandbox.revoke(str(scope))
        fetched = await scenario.advance_until_done(
            asyncio.gather(
                *(session.inquiries.retrieve(inquiry.id) for _ in range(200))
            ),
            step=0.1,
        )
    assert len(fetched) == 200
    assert scenario.authorized == 2


@pytest.mark.asyncio
async def test_f84_token_that_expired_in_transit_is_replaced(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    async with scenario.manager() as manager:
        session = manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
        # The service's clock runs ahead of ours: for it the hour is over.
        scenario.sandbox.advance(3_600)
        scenario.clock.advance(60)
        fetched = await scenario.advance_until_done(
            session.inquiries.retrieve(inquiry.id), step=0.1
        )
    assert fetched.id == inquiry.id
    assert scenario.authorized == 2


@pytest.mark.asyncio
async def test_authorization_returns_the_expiry_of_its_code(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    code = await scenario.ask_partner(Scope.read(inquiry.id))
    assert (code.expires_at - scenario.clock.wall()).total_seconds() == 599
    assert code.scope == Scope.read(inquiry.id)


@pytest.mark.asyncio
@pytest.mark.parametrize("scope", ["", "inquiry.read", "inquiry.read:inq_1 txn.read"])
async def test_authorization_without_objects_is_refused(scenario, scope):
    with pytest.raises(InvalidScopeError):
        await scenario.source.oauth.authorize(client_id="org_1", scope=scope)
    assert len(scenario.sandbox.log) == 0


@pytest.mark.asyncio
async def test_any_other_endpoint_is_reached_by_its_path(scenario):
    account = scenario.sandbox.add_account()
    document = await scenario.source.request(
        "GET", "/accounts/{account-id}", path_params={"account-id": account.id}
    )
    assert document.data.id == account.id
    assert document.response_info.request_id.startswith("req_")


@pytest.mark.asyncio
async def test_sparse_fields_and_included_objects_match_the_request(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    verification = scenario.sandbox.add_verification(inquiry=inquiry.id)
    found = await scenario.source.inquiries.retrieve(
        inquiry.id, include=["verifications"]
    )
    assert [each.id for each in found.related("verifications")] == [verification.id]
    sparse = await scenario.source.inquiries.retrieve(
        inquiry.id, fields={"inquiry": ["status"]}
    )
    assert set(sparse.attributes) == {"status"}


@pytest.mark.asyncio
async def test_wrong_api_key_is_reported(scenario):
    async with PersonaClient(
        "localbox_wrong", base_url=scenario.sandbox.url, insecure_local=True
    ) as client:
        with pytest.raises(AuthenticationError):
            await client.inquiries.retrieve("inq_1")


@pytest.mark.asyncio
async def test_error_names_the_fix_when_oauth_is_not_enabled(scenario):
    inquiry = scenario.sandbox.add_inquiry()
    code = await scenario.ask_partner(Scope.read(inquiry.id))
    scenario.sandbox.faults.answer("POST /oauth/token", 403, title="Forbidden")
    async with scenario.manager(codes=None) as manager:
        with pytest.raises(ExchangeForbiddenError, match="ask Persona's account team"):
            await manager.exchange(code)


@pytest.mark.asyncio
async def test_refresh_continues_with_tokens_of_five_seconds(scenario):
    async with Sandbox(
        _clock=scenario.clock.epoch, rate_limit=None, token_lifetime=5
    ) as sandbox:
        inquiry = sandbox.add_inquiry()
        runtime = scenario.source.context.runtime
        options = {"base_url": sandbox.url, "insecure_local": True, "_runtime": runtime}
        async with (
            PersonaClient(sandbox.source.api_key, **options) as source,
            PersonaClient(sandbox.destination.api_key, **options) as destination,
        ):

            async def ask_partner(scope):
                return await source.oauth.authorize(
                    client_id=sandbox.destination.id, scope=scope
                )

            async with ScopedTokenManager(destination, codes=ask_partner) as manager:
                session = manager.session(Scope.read(inquiry.id))
                for _ in range(100):
                    assert (await session.inquiries.retrieve(inquiry.id)).id
                    scenario.clock.advance(0.2)
        assert sandbox.log.count(status=401) == 0
        assert 20 / 4 <= sandbox.log.tokens_issued <= 12
