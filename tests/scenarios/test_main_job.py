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
async def test_no_request_fails_during_a_day_of_refreshes(journey):
    inquiry = journey.box.add_inquiry()
    verification = journey.box.add_verification(inquiry=inquiry.id)
    async with journey.manager() as manager:
        session = manager.session(Scope.read(inquiry.id, verification.id))
        for _ in range(24 * 12):
            shared = await session.inquiries.retrieve(inquiry.id)
            assert shared.id == inquiry.id
            assert shared.status is InquiryStatus.COMPLETED
            await journey.clock.settle()
            journey.clock.advance(300)
        assert (await session.verifications.retrieve(verification.id)).id
    log = journey.box.log
    assert log.count(status=401) == log.count(status=403) == log.count(status=404) == 0
    # 86,400 s of tokens that are renewed 300 to 900 s before the end of 3,599 s.
    assert 24 <= log.tokens_issued <= 86_400 / 2_699 + 1
    assert log.codes_redeemed == log.tokens_issued == journey.authorized


@pytest.mark.asyncio
async def test_many_sessions_of_one_scope_share_one_token(journey):
    inquiry = journey.box.add_inquiry()
    async with journey.manager() as manager:
        await asyncio.gather(
            *(
                manager.session(Scope.read(inquiry.id)).inquiries.retrieve(inquiry.id)
                for _ in range(100)
            )
        )
    assert journey.box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_each_request_carries_the_token_of_its_own_scope(journey):
    names = [journey.box.add_inquiry().id for _ in range(20)]
    async with journey.manager() as manager:
        fetched = await asyncio.gather(
            *(
                manager.session(Scope.read(name)).inquiries.retrieve(name)
                for name in names
            )
        )
    assert [each.id for each in fetched] == names
    assert journey.box.log.tokens_issued == 20
    assert journey.box.log.count(status=403) == 0


@pytest.mark.asyncio
async def test_delivered_code_gives_access_to_its_objects(journey):
    inquiry = journey.box.add_inquiry()
    code = await journey.ask_partner(Scope.read(inquiry.id))
    async with journey.manager(codes=None) as manager:
        scope = await manager.exchange(code.reveal())
        assert scope == Scope.read(inquiry.id)
        assert (await manager.session(scope).inquiries.retrieve(inquiry.id)).id


@pytest.mark.asyncio
async def test_call_outside_the_scope_is_refused_before_anything_is_sent(journey):
    inquiry, other = journey.box.add_inquiry(), journey.box.add_inquiry()
    async with journey.manager() as manager:
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
    assert len(journey.box.log) == 0


@pytest.mark.asyncio
async def test_a_session_can_be_narrowed_and_never_widened(journey):
    one, two = journey.box.add_inquiry(), journey.box.add_inquiry()
    async with journey.manager() as manager:
        wide = manager.session(Scope.read(one.id, two.id))
        await wide.inquiries.retrieve(one.id)
        narrow = wide.narrow(Scope.read(two.id))
        assert (await narrow.inquiries.retrieve(two.id)).id == two.id
        with pytest.raises(ScopeNotCoveredError):
            narrow.narrow(wide.scope)
    assert journey.box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_destination_key_gives_no_access_to_objects_of_the_source(journey):
    inquiry = journey.box.add_inquiry()
    with pytest.raises(NotFoundError):
        await journey.destination.inquiries.retrieve(inquiry.id)


@pytest.mark.asyncio
async def test_code_of_another_organization_is_refused(journey):
    inquiry = journey.box.add_inquiry()
    stranger = journey.box.add_organization()
    code = await journey.source.oauth.authorize(
        client_id=stranger.id, scope=Scope.read(inquiry.id)
    )
    async with journey.manager(codes=None) as manager:
        with pytest.raises(CodeRejectedError):
            await manager.exchange(code)


@pytest.mark.asyncio
async def test_f11_lost_response_costs_neither_code_nor_token(journey):
    inquiry = journey.box.add_inquiry()
    journey.box.faults.lose_answer("POST /oauth/token", times=2)
    async with journey.manager() as manager:
        token = await journey.until(manager.token(Scope.read(inquiry.id)))
        session = manager.session(Scope.read(inquiry.id))
        assert (await session.inquiries.retrieve(inquiry.id)).id
    assert token.lifetime == 3599
    assert journey.authorized == journey.box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_f79_a_revoked_token_is_replaced_at_the_cost_of_one_code(journey):
    inquiry = journey.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with journey.manager() as manager:
        session = manager.session(scope)
        await session.inquiries.retrieve(inquiry.id)
        journey.clock.advance(60)
        journey.box.revoke(str(scope))
        fetched = await journey.until(
            asyncio.gather(
                *(session.inquiries.retrieve(inquiry.id) for _ in range(200))
            ),
            step=0.1,
        )
    assert len(fetched) == 200
    assert journey.authorized == 2


@pytest.mark.asyncio
async def test_f84_token_that_expired_in_transit_is_replaced(journey):
    inquiry = journey.box.add_inquiry()
    async with journey.manager() as manager:
        session = manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
        # The service's clock runs ahead of ours: for it the hour is over.
        journey.box.advance(3_600)
        journey.clock.advance(60)
        fetched = await journey.until(session.inquiries.retrieve(inquiry.id), step=0.1)
    assert fetched.id == inquiry.id
    assert journey.authorized == 2


@pytest.mark.asyncio
async def test_authorization_returns_the_expiry_of_its_code(journey):
    inquiry = journey.box.add_inquiry()
    code = await journey.ask_partner(Scope.read(inquiry.id))
    assert (code.expires_at - journey.clock.wall()).total_seconds() == 599
    assert code.scope == Scope.read(inquiry.id)


@pytest.mark.asyncio
@pytest.mark.parametrize("scope", ["", "inquiry.read", "inquiry.read:inq_1 txn.read"])
async def test_authorization_without_objects_is_refused(journey, scope):
    with pytest.raises(InvalidScopeError):
        await journey.source.oauth.authorize(client_id="org_1", scope=scope)
    assert len(journey.box.log) == 0


@pytest.mark.asyncio
async def test_any_other_endpoint_is_reached_by_its_path(journey):
    account = journey.box.add_account()
    document = await journey.source.request(
        "GET", "/accounts/{account-id}", path_params={"account-id": account.id}
    )
    assert document.data.id == account.id
    assert document.response_info.request_id.startswith("req_")


@pytest.mark.asyncio
async def test_sparse_fields_and_included_objects_match_the_request(journey):
    inquiry = journey.box.add_inquiry()
    verification = journey.box.add_verification(inquiry=inquiry.id)
    found = await journey.source.inquiries.retrieve(
        inquiry.id, include=["verifications"]
    )
    assert [each.id for each in found.related("verifications")] == [verification.id]
    sparse = await journey.source.inquiries.retrieve(
        inquiry.id, fields={"inquiry": ["status"]}
    )
    assert set(sparse.attributes) == {"status"}


@pytest.mark.asyncio
async def test_wrong_api_key_is_reported(journey):
    async with PersonaClient(
        "localbox_wrong", base_url=journey.box.url, insecure_local=True
    ) as client:
        with pytest.raises(AuthenticationError):
            await client.inquiries.retrieve("inq_1")


@pytest.mark.asyncio
async def test_error_says_what_to_do_when_oauth_is_not_enabled(journey):
    inquiry = journey.box.add_inquiry()
    code = await journey.ask_partner(Scope.read(inquiry.id))
    journey.box.faults.answer("POST /oauth/token", 403, title="Forbidden")
    async with journey.manager(codes=None) as manager:
        with pytest.raises(ExchangeForbiddenError, match="ask Persona's account team"):
            await manager.exchange(code)


@pytest.mark.asyncio
async def test_refresh_continues_with_tokens_of_five_seconds(journey):
    async with Sandbox(
        _clock=journey.clock.epoch, rate_limit=None, token_lifetime=5
    ) as box:
        inquiry = box.add_inquiry()
        runtime = journey.source.context.runtime
        options = {"base_url": box.url, "insecure_local": True, "_runtime": runtime}
        async with (
            PersonaClient(box.source.api_key, **options) as source,
            PersonaClient(box.destination.api_key, **options) as destination,
        ):

            async def ask_partner(scope):
                return await source.oauth.authorize(
                    client_id=box.destination.id, scope=scope
                )

            async with ScopedTokenManager(destination, codes=ask_partner) as manager:
                session = manager.session(Scope.read(inquiry.id))
                for _ in range(100):
                    assert (await session.inquiries.retrieve(inquiry.id)).id
                    journey.clock.advance(0.2)
        assert box.log.count(status=401) == 0
        assert 20 / 4 <= box.log.tokens_issued <= 12
