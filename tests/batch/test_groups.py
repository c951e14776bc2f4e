"""Groups of objects and their tokens: one code per group, and failing objects are isolated."""

import itertools

import attrs
import pytest

from persona_share import Failed, Scope
from persona_share.batch.groups import GroupPlanner
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeRefusedError,
    CodeRejectedError,
    CodeSourceError,
    ExchangeAuthenticationError,
    ExchangeUnavailableError,
    NotFoundError,
    OutageError,
    PermissionDeniedError,
    ScopeNotGrantedError,
    StoreUnavailableError,
    TokenError,
)
from tests.batch.conftest import collected, ids_of


@attrs.define
class Partner:
    """Issues tokens, or refuses a scope with refused objects."""

    bad: set = attrs.field(factory=set)
    error_type: type = NotFoundError
    broken: set = attrs.field(factory=set)
    script: list = attrs.field(factory=list)
    asked: list = attrs.field(factory=list)
    down: object = None
    covered: list | None = None
    refuses: set = attrs.field(factory=set)
    names: bool = True
    latency: object = None
    in_progress: int = 0
    most: int = 0

    held: list = attrs.field(factory=list)
    forgotten: list = attrs.field(factory=list)

    async def forget(self, scope):
        self.forgotten.append(scope)

    async def acquire(self, scope):
        self.asked.append(scope)
        if self.latency is not None:
            self.in_progress += 1
            self.most = max(self.most, self.in_progress)
            await self.latency(1.0)
            self.in_progress -= 1
        error = self.script.pop(0) if self.script else None
        if error is None and self.down is not None and self.down():
            error = failure()
        if error is not None:
            raise error
        refused = self.refuses.intersection(scope.object_ids())
        if refused:
            named = Scope.read(*refused) if self.names else None
            raise CodeRefusedError("not these", refused=named)
        if self.bad.intersection(scope.object_ids()):
            raise failure(self.error_type("the response of the service"))
        if self.broken.intersection(scope.object_ids()):
            raise failure()
        if self.covered and not any(scope <= each for each in self.covered):
            raise AuthorizationCodeRequiredError("there is no code for this scope")


def failure(cause=None):
    """An exception of the code source; ``cause`` is the response of the service."""
    error = CodeSourceError("the code source raised KeyError", reason="KeyError")
    error.__cause__ = cause
    error.retryable = cause is None
    return error


@pytest.fixture
def partner():
    return Partner()


@pytest.fixture
def scoped(kit, partner):
    def make(
        ids, size=10, *, permission=None, has_source=True, max_outage=900.0, **options
    ):
        outages = kit.monitor(waiting_for="partner", max_outage=max_outage)
        planner = GroupPlanner(
            size=size,
            permission=permission,
            acquire=partner.acquire,
            forget=partner.forget,
            is_held=lambda scope: scope in partner.held,
            retrieve_under=lambda scope: kit.objects.retrieve,
            outages=outages,
            clock=kit.clock,
            has_source=has_source,
        )
        return kit.batch(ids, planner=planner, partner=outages, **options)

    return make


def several(count, prefix="inq"):
    return [f"{prefix}_{number:03}" for number in range(count)]


def failures(outcomes):
    return [each for each in outcomes if isinstance(each, Failed)]


@pytest.mark.asyncio
async def test_every_group_has_a_scope_of_its_own(scoped, partner):
    ids = several(25)
    outcomes = await collected(scoped(ids))

    groups = [ids[:10], ids[10:20], ids[20:]]
    assert partner.asked == [Scope.read(*group) for group in groups]
    assert sorted(ids_of(outcomes)) == ids


@pytest.mark.asyncio
async def test_token_is_dropped_with_its_last_object_unless_it_was_held_before(
    scoped, partner
):
    ids = several(30)
    partner.held = [Scope.read(*ids[10:20])]
    await collected(scoped(ids))

    assert sorted(partner.forgotten, key=str) == [
        Scope.read(*ids[:10]),
        Scope.read(*ids[20:]),
    ]


@pytest.mark.asyncio
async def test_token_is_requested_when_it_is_first_needed(scoped, partner, kit):
    async with scoped(several(1_000)) as batch:
        await anext(batch)
        await kit.settle()

    assert len(partner.asked) <= 4


@pytest.mark.asyncio
async def test_permission_follows_from_the_prefix_or_is_named(scoped, partner):
    await collected(scoped(["inq_1", "ver_1"]))
    await collected(scoped(["new_1", "new_2"], permission="inquiry.read"))

    assert partner.asked == [
        Scope.parse("inquiry.read:inq_1 verification.read:ver_1"),
        Scope.parse("inquiry.read:new_1 inquiry.read:new_2"),
    ]


@pytest.mark.asyncio
async def test_malformed_id_fails_alone_without_a_request(scoped, partner):
    outcomes = await collected(scoped(["inq_1", "../x", "", "new_1", 7, None]))

    assert sorted(map(str, ids_of(failures(outcomes)))) == [
        *("", "../x", "7", "None", "new_1"),
    ]
    assert partner.asked == [Scope.read("inq_1")]


@pytest.mark.asyncio
async def test_scope_that_would_be_too_long_is_divided(scoped, partner):
    ids = [f"inq_{number:0124}" for number in range(256)]
    outcomes = await collected(scoped(ids, 256))

    assert len(failures(outcomes)) == 0
    assert [len(scope) for scope in partner.asked] == [64, 64, 64, 64]


@pytest.mark.asyncio
async def test_object_that_fails_its_group_is_found_and_fails_alone(scoped, partner):
    partner.bad = {"inq_037"}
    outcomes = await collected(scoped(several(200), 100))

    assert ids_of(failures(outcomes)) == ["inq_037"]
    # Two groups, and two more questions at each of seven divisions.
    assert len(partner.asked) <= 2 + 2 * 7


@pytest.mark.asyncio
async def test_several_failing_objects_are_found(scoped, partner):
    partner.bad = {"inq_000", "inq_001", "inq_050", "inq_099", "inq_123"}
    outcomes = await collected(scoped(several(200), 100))

    assert sorted(ids_of(failures(outcomes))) == sorted(partner.bad)
    assert len(outcomes) == 200


@pytest.mark.asyncio
async def test_objects_that_are_not_granted_fail_and_the_others_continue(
    scoped, partner
):
    missing = str(Scope.read("inq_003", "inq_007"))
    partner.script = [ScopeNotGrantedError("less was granted", missing=missing)]
    outcomes = await collected(scoped(several(10)))

    assert sorted(ids_of(failures(outcomes))) == ["inq_003", "inq_007"]
    assert len(outcomes) == 10


@pytest.mark.asyncio
async def test_exception_of_the_code_source_costs_one_more_request(
    scoped, partner, kit
):
    partner.script = [failure()]
    outcomes = await kit.until(collected(scoped(several(1_000), 100)))

    assert failures(outcomes) == []
    assert len(partner.asked) == 10 + 1


@pytest.mark.parametrize("broken", ["inq_000", "inq_550", "inq_999"])
@pytest.mark.asyncio
async def test_group_fails_alone_when_the_code_source_keeps_failing_for_it(
    scoped, partner, kit, broken
):
    partner.broken = {broken}
    outcomes = await kit.until(collected(scoped(several(1_000), 100)))

    group = int(broken[4:]) // 100 * 100
    expected = several(1_000)[group : group + 100]
    assert sorted(ids_of(failures(outcomes))) == expected
    assert len(outcomes) == 1_000
    # Three requests, and three more after all of the others.
    assert len(partner.asked) == 9 + 2 * 3


@pytest.mark.asyncio
async def test_batch_stops_when_the_partner_is_down_for_too_long(scoped, partner, kit):
    partner.down = lambda: True
    batch = scoped(several(1_000), 100, max_outage=600)
    with pytest.raises(
        OutageError, match=r"partner has been down.*raised KeyError"
    ) as raised:
        await kit.until(collected(batch))

    assert isinstance(raised.value.__cause__, CodeSourceError)
    # Four that start the pause, others that were in flight, and one for each pause.
    assert len(partner.asked) <= 4 + 8 + 18
    assert batch.report().failed == 0


@pytest.mark.asyncio
async def test_no_object_fails_when_the_partner_is_down_for_a_minute(
    scoped, partner, kit
):
    end = kit.clock.now() + 60
    partner.down = lambda: kit.clock.now() < end
    outcomes = await kit.until(collected(scoped(several(1_000), 100)))

    assert failures(outcomes) == []
    assert len(outcomes) == 1_000


@pytest.mark.asyncio
async def test_other_groups_are_tried_when_an_outage_is_over_for_all_but_one(
    scoped, partner, kit
):
    end = kit.clock.now() + 60
    partner.down = lambda: kit.clock.now() < end
    partner.broken = {"inq_000"}
    outcomes = await kit.until(collected(scoped(several(1_000), 100)))

    assert sorted(ids_of(failures(outcomes))) == several(100)


@pytest.mark.asyncio
async def test_outage_ends_when_the_service_responds_for_a_bad_object(
    scoped, partner, kit
):
    end = kit.clock.now() + 60
    partner.down = lambda: kit.clock.now() < end
    partner.bad = {"inq_000"}
    outcomes = await kit.until(collected(scoped(["inq_000"])))

    assert ids_of(failures(outcomes)) == ["inq_000"]
    assert kit.clock.now() < end + 120


@pytest.mark.asyncio
async def test_rejected_code_ends_an_outage(scoped, partner, kit):
    partner.script = [*[failure() for _ in range(4)], CodeRejectedError("stale")]
    outcomes = await kit.until(collected(scoped(several(1_000), 100)))

    assert failures(outcomes) == []


@pytest.mark.asyncio
async def test_store_that_cannot_be_reached_for_a_moment_fails_nothing(
    scoped, partner, kit
):
    partner.script = [StoreUnavailableError("no connection") for _ in range(6)]
    outcomes = await kit.until(collected(scoped(several(1_000), 100)))

    assert failures(outcomes) == []


@pytest.mark.asyncio
async def test_unknown_objects_fail_when_many_precede_the_known_ones(scoped, partner):
    partner.bad = {*several(100)}
    outcomes = await collected(scoped(several(300), 100))

    assert sorted(ids_of(failures(outcomes))) == several(100)
    # A division asks for both halves: one code for each object, and one for each half.
    assert len(partner.asked) <= 3 + 2 * 100


@pytest.mark.asyncio
async def test_source_that_gets_errors_for_every_scope_is_not_divided_forever(
    scoped, partner, kit
):
    partner.bad, partner.error_type = {*several(1_000)}, PermissionDeniedError
    with pytest.raises(CodeSourceError):
        await kit.until(collected(scoped(several(1_000), 100)))

    assert len(partner.asked) <= 16 + 3 + 8


@pytest.mark.asyncio
async def test_exchange_without_a_response_is_retried(scoped, partner, kit):
    late = ExchangeUnavailableError("no answer", retry_after=7)
    partner.script = [late, late, late, late, late]
    began = kit.clock.now()
    outcomes = await kit.until(collected(scoped(several(10))))

    assert failures(outcomes) == []
    assert len(partner.asked) == 6
    assert kit.clock.now() - began >= 7


@pytest.mark.asyncio
async def test_codes_that_the_service_rejects_are_replaced(scoped, partner, kit):
    partner.script = [CodeRejectedError("stale"), CodeRejectedError("stale")]
    outcomes = await kit.until(collected(scoped(several(30))))

    assert failures(outcomes) == []


@pytest.mark.asyncio
async def test_group_fails_when_three_of_its_codes_are_rejected(scoped, partner, kit):
    partner.script = [CodeRejectedError("stale") for _ in range(3)]
    outcomes = await kit.until(collected(scoped(several(10))))

    assert len(failures(outcomes)) == 10
    assert len({id(each.error) for each in outcomes}) == 10


@pytest.mark.asyncio
async def test_rejected_key_stops_the_batch_at_once(scoped, partner):
    partner.script = [ExchangeAuthenticationError("rejected", status=401)] * 9
    with pytest.raises(ExchangeAuthenticationError):
        await collected(scoped(several(1_000)))

    assert len(partner.asked) <= 4


@pytest.mark.asyncio
async def test_objects_that_the_partner_names_cost_one_more_code(scoped, partner):
    partner.refuses = set(several(1_500)[::8])
    outcomes = await collected(scoped(several(1_500), 100))

    assert sorted(ids_of(failures(outcomes))) == sorted(partner.refuses)
    assert len(partner.asked) == 2 * 15


@pytest.mark.asyncio
async def test_unnamed_refusals_cost_at_most_two_codes_a_division(scoped, partner):
    partner.refuses, partner.names = set(several(1_500)[::8]), False
    outcomes = await collected(scoped(several(1_500), 100))

    assert sorted(ids_of(failures(outcomes))) == sorted(partner.refuses)
    # Each refused object costs at most one code for each of seven divisions and the
    # code of the other half.
    assert len(partner.asked) <= 15 + 2 * 7 * len(partner.refuses)


@pytest.mark.asyncio
async def test_refusal_of_something_else_divides_the_group(scoped, partner):
    partner.script = [CodeRefusedError("no", refused=Scope.read("inq_elsewhere"))]
    outcomes = await collected(scoped(several(10)))

    assert failures(outcomes) == []


@pytest.mark.asyncio
async def test_codes_are_requested_ahead_and_in_parallel(scoped, partner, kit):
    partner.latency = kit.clock.sleep
    began = kit.clock.now()
    outcomes = await kit.until(collected(scoped(several(400), 10)), step=0.5)

    assert len(outcomes) == 400
    assert 4 <= partner.most <= 9
    assert kit.clock.now() - began < 40 / 3


@pytest.mark.asyncio
async def test_delivered_tokens_of_other_groupings_are_found(scoped, partner):
    delivered = [several(13), several(40)[13:33]]
    partner.covered = [Scope.read(*each) for each in delivered]
    outcomes = await collected(scoped(several(40), 10, has_source=False))

    assert sorted(ids_of(failures(outcomes))) == several(40)[33:]


@pytest.mark.asyncio
async def test_object_gets_another_token_when_its_token_expired(scoped, partner, kit):
    ended = TokenError("its token ended")
    ended.retryable = True
    kit.objects.errors = {"inq_004": [ended], "inq_005": [ended, ended]}
    outcomes = await kit.until(collected(scoped(several(10))))

    assert ids_of(failures(outcomes)) == ["inq_005"]
    assert partner.asked[1] == Scope.read("inq_004", "inq_005")
    assert kit.objects.asked.count("inq_005") == 2


@pytest.mark.asyncio
async def test_million_objects_with_expiring_tokens_use_bounded_memory(
    scoped, partner, kit
):
    ended = TokenError("its token ended")
    ended.retryable = True
    kit.objects.errors = _Once(ended)
    many = (f"inq_{number}" for number in itertools.count())
    batch = scoped(many, 10, concurrency=4)
    waiting = []

    async def take():
        for _ in range(100):
            await anext(batch)
            waiting.append(len(batch._pool._regroup))

    await kit.until(take())
    await batch.aclose()

    assert max(waiting) <= 2 * 10 + 2 * 4


class _Once(dict):
    """The same error for every object, once."""

    def __init__(self, error):
        self.error = error

    def get(self, key, default=None):
        return self.setdefault(key, [self.error])
