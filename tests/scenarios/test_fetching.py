"""Many objects over a real socket: all shared objects arrive despite failures."""

import attrs
import pytest

from persona_share import Failed, Fetched, PersonaClient, Scope
from persona_share.errors import InvalidArgumentError, NotOpenError
from persona_share.model.inquiry import Inquiry


def people(scenario, count):
    return [scenario.sandbox.add_inquiry().id for _ in range(count)]


async def collected(batch):
    return [each async for each in batch]


def failures(outcomes):
    return {each.id: each.error for each in outcomes if isinstance(each, Failed)}


@pytest.mark.asyncio
async def test_session_fetches_all_objects_of_its_scope(scenario):
    inquiries = people(scenario, 10)
    account = scenario.sandbox.add_account().id
    scope = Scope.read(*inquiries, account) | Scope.write(inquiries[0])
    async with scenario.manager() as manager:
        batch = manager.session(scope).fetch(concurrency=4)
        outcomes = await collected(batch)

    assert {each.id for each in outcomes} == {*inquiries, account}
    assert all(isinstance(each, Fetched) for each in outcomes)
    found = next(each for each in outcomes if each.id == inquiries[0])
    assert isinstance(found.resource, Inquiry)
    assert found.resource.status == "completed"
    assert batch.report().tokens == 1
    assert batch.plan().objects == 11


@pytest.mark.asyncio
async def test_session_fetches_only_objects_of_its_scope(scenario):
    ids = people(scenario, 3)
    async with scenario.manager() as manager:
        outcomes = await collected(manager.session(Scope.read(ids[0])).fetch(ids))

    assert set(failures(outcomes)) == {*ids[1:]}
    assert scenario.sandbox.log.count("GET /inquiries/{inquiry-id}") == 1


@pytest.mark.asyncio
async def test_manager_acquires_one_token_for_each_group(scenario):
    ids = people(scenario, 25)
    async with scenario.manager() as manager:
        batch = manager.fetch(ids, objects_per_token=10)
        assert batch.plan().tokens == 3
        outcomes = await collected(batch)

    assert {each.id for each in outcomes} == {*ids}
    assert failures(outcomes) == {}
    assert scenario.authorized == scenario.sandbox.log.tokens_issued == 3
    assert batch.report().tokens == 3


@pytest.mark.asyncio
async def test_organization_fetches_its_own_objects_with_its_key(scenario):
    ids = people(scenario, 5)
    batch = scenario.source.fetch([*ids, "inq_unknown"])
    outcomes = await collected(batch)

    assert set(failures(outcomes)) == {"inq_unknown"}
    assert failures(outcomes)["inq_unknown"].status == 404
    assert (batch.report().fetched, batch.report().tokens) == (5, 0)


@pytest.mark.asyncio
async def test_object_that_the_partner_cannot_share_fails_alone(scenario):
    ids = people(scenario, 20)
    async with scenario.manager() as manager:
        outcomes = await collected(manager.fetch([*ids, "inq_gone"]))

    assert set(failures(outcomes)) == {"inq_gone"}
    assert len(outcomes) == 21


@pytest.mark.asyncio
async def test_objects_that_were_not_granted_fail_and_the_others_arrive(scenario):
    ids = people(scenario, 10)
    scenario.sandbox.switches.grants = lambda scope: str(
        Scope.parse(scope) - Scope.read(ids[3])
    )
    async with scenario.manager() as manager:
        outcomes = await collected(manager.fetch(ids))

    assert set(failures(outcomes)) == {ids[3]}
    assert len(outcomes) == 10


@pytest.mark.asyncio
async def test_batch_needs_only_delivered_codes(scenario):
    ids = people(scenario, 10)
    async with scenario.manager(codes=None) as manager:
        for part in (ids[:4], ids[4:9]):
            await manager.exchange(await scenario.ask_partner(Scope.read(*part)))
        outcomes = await collected(manager.fetch(ids, permission="inquiry.read"))

    assert set(failures(outcomes)) == {ids[9]}
    assert scenario.authorized == 2


@pytest.mark.asyncio
async def test_token_is_refreshed_when_it_expires_during_the_run(scenario):
    ids = people(scenario, 12)
    scenario.sandbox._state.token_lifetime = 60
    async with scenario.manager() as manager:
        batch, seen = manager.fetch(ids, concurrency=1), []
        for _ in ids:
            seen.append(await scenario.advance_until_done(anext(batch), step=0.1))
            await scenario.advance_until_done(scenario.clock.sleep(20), step=2)
        await batch.aclose()

        assert failures(seen) == {}
        assert {each.id for each in seen} == {*ids}
        assert manager.metrics().issued >= 3


@pytest.mark.asyncio
async def test_retryable_failures_are_retried_within_the_call(scenario):
    ids = people(scenario, 10)
    scenario.sandbox.faults.random(
        0.2, 1, [503], operation="GET /inquiries/{inquiry-id}"
    )
    async with scenario.manager() as manager:
        batch = manager.fetch(ids, concurrency=2)
        outcomes = await scenario.advance_until_done(collected(batch))

    asked = scenario.sandbox.log.count("GET /inquiries/{inquiry-id}")
    assert len(outcomes) == 10
    assert batch.report().retries == asked - 10


@pytest.mark.asyncio
async def test_no_object_fails_when_the_concurrency_exceeds_the_limit(scenario):
    ids = people(scenario, 40)
    scenario.sandbox.switches.key_limit = 8
    options = {"base_url": scenario.sandbox.url, "insecure_local": True}
    runtime = scenario.source.context.runtime
    async with PersonaClient(
        scenario.sandbox.source.api_key, timeout=70, _runtime=runtime, **options
    ) as client:
        batch = client.fetch(ids, concurrency=40)
        outcomes = await scenario.advance_until_done(collected(batch), step=2.0)

    assert failures(outcomes) == {}
    assert scenario.sandbox.log.count(status=429) <= 40
    assert batch.report().waits > 0


@pytest.mark.asyncio
async def test_second_run_continues_from_the_checkpoint(scenario, tmp_path):
    ids = people(scenario, 10)
    path = tmp_path / "checkpoint"
    async with scenario.manager() as manager:
        async with manager.fetch(ids, checkpoint=path) as batch:
            first = [(await anext(batch)).id for _ in range(5)]
        second = await collected(manager.fetch(ids, checkpoint=path))

    assert {*first} | {each.id for each in second} == {*ids}
    assert not {*first[:-1]} & {each.id for each in second}


@pytest.mark.parametrize(
    "options",
    [
        {"ids": "inq_1"},
        {"ids": 7},
        {"ids": ["inq_1"], "concurrency": 0},
        {"ids": ["inq_1"], "concurrency": 2.5},
        {"ids": ["inq_1"], "objects_per_token": 257},
        {"ids": ["inq_1"], "objects_per_token": 0},
        {"ids": ["inq_1"], "permission": "inquiry.write"},
        {"ids": ["inq_1"], "permission": "inquiry"},
    ],
)
@pytest.mark.asyncio
async def test_invalid_fetch_options_are_refused_at_once(scenario, options):
    with pytest.raises(InvalidArgumentError):
        scenario.manager().fetch(**options)


@pytest.mark.asyncio
async def test_scope_without_objects_needs_ids(scenario):
    async with scenario.manager() as manager:
        with pytest.raises(InvalidArgumentError, match="pass their ids"):
            manager.session("inquiry.read").fetch()


@pytest.mark.asyncio
async def test_batch_raises_when_the_manager_is_closed(scenario):
    ids = people(scenario, 3)
    with pytest.raises(NotOpenError):
        await collected(scenario.manager().fetch(ids))


@pytest.mark.asyncio
async def test_events_contain_no_object_and_no_secret(scenario):
    ids = people(scenario, 3)
    reported = []
    async with scenario.manager() as manager:
        await collected(manager.fetch(ids, on_progress=reported.append))

    assert [each.done for each in reported] == [1, 2, 3]
    assert not any(
        name in repr(attrs.asdict(each)) for each in reported for name in ids
    )


@pytest.mark.asyncio
async def test_failing_hook_has_no_effect_on_calls(scenario):
    ids = people(scenario, 3)

    def broken(_progress):
        message = "the terminal is gone"
        raise OSError(message)

    async with scenario.manager() as manager:
        outcomes = await collected(manager.fetch(ids, on_progress=broken))

    assert len(outcomes) == 3


@pytest.mark.asyncio
async def test_no_token_is_left_when_an_id_is_given_twice(scenario):
    ids = people(scenario, 3)
    async with (
        scenario.manager() as manager,
        manager.fetch([*ids, ids[0]], acknowledge="explicit") as batch,
    ):
        outcomes = await collected(batch)
        for each in outcomes:
            await batch.acknowledge(each.id)

        assert len(outcomes) == 4
        assert manager.tokens() == ()
