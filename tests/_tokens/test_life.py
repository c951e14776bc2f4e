"""The life of tokens through the public interface: what must never happen again."""

import asyncio
import math

import attrs
import pytest

from persona_share import Scope, ScopedTokenManager
from persona_share._protocol.http import Response
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeRefusedError,
    CodeSourceError,
    ConfigurationError,
    ExchangeForbiddenError,
    ScopeNotCoveredError,
    ScopeNotGrantedError,
    StoreUnavailableError,
    TokenRejectedError,
)
from persona_share.model import events
from persona_share.stores import MemoryStore
from tests._tokens.conftest import House


A, B = Scope.read("inq_1"), Scope.read("ver_2")
BOTH = A | B


class Broken:
    """A store whose operations raise one error, or hang, from some operation on."""

    accepts_secrets = True

    def __init__(self, inner, error, after):
        self._inner, self._error, self._left = inner, error, after

    async def _trouble(self):
        self._left -= 1
        if self._left >= 0:
            return
        if self._error is None:
            await asyncio.Event().wait()
        raise self._error

    async def open(self):
        await self._inner.open()

    async def aclose(self):
        await self._trouble()

    async def read(self, key):
        await self._trouble()
        return await self._inner.read(key)

    async def write(self, key, value, *, if_etag, ttl):
        await self._trouble()
        return await self._inner.write(key, value, if_etag=if_etag, ttl=ttl)

    async def keys(self, prefix):
        async for key in self._inner.keys(prefix):
            yield key


def shared(house: House) -> MemoryStore:
    return MemoryStore(runtime=house.context.runtime)


@pytest.mark.asyncio
async def test_narrow_scope_never_uses_a_wider_token(house):
    manager = await house.manager()
    wide = await manager.token(BOTH)
    narrow = await manager.token(A)
    assert (wide.scope, narrow.scope) == (BOTH, A)
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_covering_returns_a_narrowed_session_of_a_held_token_or_none(house):
    manager = await house.manager()
    assert manager.covering(A) is None
    await manager.token(BOTH)
    session = manager.covering(A)
    assert session.scope == A
    with pytest.raises(ScopeNotCoveredError):
        session.narrow(B)
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f48_short_grant_is_shared_and_costs_the_fleet_one_code(house):
    store = shared(house)
    house.service.grants = A
    managers = [await house.manager(store=store) for _ in range(4)]
    for manager in managers:
        with pytest.raises(ScopeNotGrantedError) as caught:
            await house.soon(manager.token(BOTH))
        assert caught.value.missing == B.text
    assert len(house.service.requests) == 1
    assert (await managers[0].token(A)).scope == A


@pytest.mark.asyncio
async def test_refusal_of_the_partner_is_shared_and_names_the_part(house):
    store = shared(house)
    first, second = [await house.manager(store=store) for _ in range(2)]
    house.partner.script = [CodeRefusedError("no consent", refused=B)]
    for manager in (first, second):
        with pytest.raises(CodeRefusedError) as caught:
            await house.soon(manager.token(BOTH))
        assert caught.value.refused == B
        assert not caught.value.retryable
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_slow_source_is_asked_once_by_six_managers(house):
    store = shared(house)
    house.partner.delay = 45
    managers = [await house.manager(store=store) for _ in range(6)]
    work = asyncio.gather(*(each.token(A, timeout=60) for each in managers))
    tokens = await house.soon(work, seconds=70)
    assert len({token.reveal() for token in tokens}) == 1
    assert len(house.partner.asked) == len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f62_f63_cancelled_only_caller_leaves_no_lease_behind(house):
    store = shared(house)
    first, second = [await house.manager(store=store) for _ in range(2)]
    house.service.delay = 5
    caller = asyncio.ensure_future(first.token(A))
    await house.settle()
    caller.cancel()
    await house.pass_time(6, step=1)
    house.service.delay = 0
    assert await house.soon(second.token(A), seconds=2)
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f64_caller_that_leaves_the_source_early_does_not_waste_its_code(house):
    house.partner.delay = 12
    manager = await house.manager()
    for _ in range(2):
        with pytest.raises(TimeoutError, match="waited 10 s for the code source"):
            await house.soon(manager.token(A, timeout=10), seconds=11)
        await house.pass_time(3)
        break
    assert await house.soon(manager.token(A), seconds=1)
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_failures_of_one_partner_slow_no_other_down(house):
    manager = await house.manager()
    house.service.script = [Response(status=400)] * 2
    with pytest.raises(Exception, match="refused"):
        await house.soon(manager.token(A))
    assert await house.soon(manager.token(B), seconds=1)
    house.service.script = [Response(status=403)]
    with pytest.raises(ExchangeForbiddenError):
        await house.soon(manager.token(Scope.read("act_3")))
    assert await house.soon(manager.token(Scope.read("act_4")), seconds=1)


@pytest.mark.asyncio
async def test_f49_wide_code_for_two_narrow_scopes_serves_both(house):
    async def one_code(_scope):
        return f"code1.{BOTH.text.encode().hex()}"

    manager = await house.manager(codes=one_code)
    tokens = await house.soon(asyncio.gather(manager.token(A), manager.token(B)))
    assert {token.reveal() for token in tokens} == {"token1"}
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_code_delivered_to_two_managers_at_once_returns_its_scope_twice(house):
    store = shared(house)
    managers = [await house.manager(store=store, codes=None) for _ in range(2)]
    house.service.delay = 1
    code = house.partner.code(A)
    work = asyncio.gather(*(each.exchange(code, scope=A) for each in managers))
    assert await house.soon(work) == [A, A]
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_offered_code_is_used_by_another_manager(house):
    store = shared(house)
    first, second = [await house.manager(store=store, codes=None) for _ in range(2)]
    await first.offer(house.partner.code(A), A)
    assert (await house.soon(second.token(A))).scope == A


@pytest.mark.asyncio
async def test_rejected_token_is_rejected_for_the_fleet_and_loops_end(house):
    store = shared(house)
    first, second = [await house.manager(store=store) for _ in range(2)]
    for _ in range(3):
        token = await house.soon(first.token(A))
        first.invalidate(token)
        await house.settle()
        for manager in (first, second):
            assert manager.peek(A) is None or manager.peek(A) != token
    with pytest.raises(TokenRejectedError):
        await house.soon(second.token(A))
    assert len(house.service.requests) == 3


@pytest.mark.asyncio
async def test_token_of_another_manager_is_not_invalidated(house):
    one, other = [await house.manager() for _ in range(2)]
    token = await one.token(A)
    kept = await other.token(A)
    other.invalidate(token)
    assert await other.token(A) is kept


@pytest.mark.asyncio
@pytest.mark.parametrize("after", range(12))
@pytest.mark.parametrize(
    "error",
    [None, OSError("disk"), StoreUnavailableError("away"), PermissionError("no")],
    ids=["hang", "OSError", "unavailable", "permission"],
)
async def test_no_token_is_lost_when_the_store_fails_at_any_operation(
    house, error, after
):
    store = Broken(shared(house), error, after)
    manager = await house.manager(store=store)
    token = await house.soon(manager.token(A), seconds=20)
    await house.pass_time(5, step=1)
    assert (await manager.token(A)) == token
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_strict_manager_says_that_the_store_is_down_and_serves_what_it_holds(
    house,
):
    store = Broken(shared(house), OSError("disk"), 12)
    manager = await house.manager(store=store, on_store_failure="fail")
    token = await house.soon(manager.token(A))
    await house.pass_time(1)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            await house.soon(manager.token(B), seconds=20)
    assert (await manager.token(A)) == token


async def cancelled_at(house, awaits):
    """Cancel the only caller after so many turns of the loop; another one follows."""
    store = shared(house)
    first, second = [await house.manager(store=store) for _ in range(2)]
    caller = asyncio.ensure_future(first.token(A))
    for _ in range(awaits):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    caller.cancel()
    await house.settle()
    assert await house.soon(second.token(A), seconds=3)
    assert len(house.partner.asked) == len(house.service.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("awaits", range(0, 60, 3))
async def test_f61_f73_cancellation_at_any_await_loses_no_code_and_serves_the_next(
    house, awaits
):
    await cancelled_at(house, awaits)


if hasattr(asyncio, "eager_task_factory"):

    @pytest.mark.asyncio
    @pytest.mark.parametrize("awaits", range(0, 60, 3))
    async def test_f61_f73_cancellation_loses_no_code_when_tasks_start_at_once(
        house, awaits
    ):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await cancelled_at(house, awaits)


@pytest.mark.asyncio
async def test_source_that_gives_a_refused_code_again_is_asked_twice_only(house):
    async def same_code(scope):
        house.partner.asked.append(scope)
        return f"code1.{A.text.encode().hex()}"

    manager = await house.manager(codes=same_code)
    house.service.script = [Response(status=400)]
    with pytest.raises(CodeAlreadyUsedError):
        await house.soon(manager.token(A))
    assert len(house.partner.asked) == 2
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_code_that_is_delivered_again_returns_its_scope_without_a_request(house):
    manager = await house.manager(codes=None)
    code = house.partner.code(A)
    for _ in range(3):
        assert await house.soon(manager.exchange(code, scope=A)) == A
    assert len(house.service.requests) == 1
    await manager.forget(A)
    with pytest.raises(CodeAlreadyUsedError):
        await house.soon(manager.exchange(code, scope=A))
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_waiting_is_observable(house, caplog):
    caplog.set_level("INFO", logger="persona_share")
    house.partner.delay = 5
    manager = await house.manager()
    await house.soon(manager.token(A))
    [event] = house.told(events.TokenWaiting)
    assert event.reason == "the code source"
    assert manager.metrics().waits == {"the code source": 1}
    lines = [each for each in caplog.records if "waits for" in each.message]
    assert len(lines) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["999999999", "1e400", "-5", "nan"])
async def test_no_header_stops_exchanges_for_longer_than_an_hour(house, value):
    house.service.script = [Response(status=429, headers={"retry-after": value})]
    manager = await house.manager()
    with_error = asyncio.gather(manager.token(A), return_exceptions=True)
    await house.soon(with_error, seconds=120)
    house.clock.advance(3_601)
    await house.settle()
    assert await house.soon(manager.token(A), seconds=30)


@pytest.mark.asyncio
async def test_metrics_count_tokens_by_state(house):
    manager = await house.manager()
    for number in range(5):
        await manager.token(Scope.read(f"inq_{number}"))
    assert manager.metrics().tokens == {"fresh": 5}
    assert manager.metrics().nearest_end == 3599
    house.clock.advance(3_595)
    assert manager.metrics().tokens == {"expired": 5}


@pytest.mark.asyncio
async def test_pinned_scope_is_kept_ready_after_a_rejection(house):
    manager = await house.manager()
    await manager.warm(A)
    manager.invalidate(await manager.token(A))
    await house.pass_time(6, step=1)
    assert manager.peek(A) is not None
    await manager.forget(A)
    assert manager.peek(A) is None


@pytest.mark.asyncio
async def test_source_that_raises_is_named_with_the_users_line(house):
    async def broken(_scope):
        return [].pop()

    manager = await house.manager(codes=broken)
    with pytest.raises(CodeSourceError, match=r"IndexError \(test_life.py:.* broken"):
        await manager.token(A)


@pytest.mark.parametrize(
    "options",
    [{"codes": "text"}, {"store": "tokens.db"}, {"hooks": print}, {"hooks": [7]}],
)
@pytest.mark.asyncio
async def test_arguments_of_the_wrong_kind_are_refused_at_construction(house, options):
    with pytest.raises(ConfigurationError):
        ScopedTokenManager(house.context, **options)
    with pytest.raises(ConfigurationError):
        ScopedTokenManager("key")


@pytest.mark.asyncio
async def test_f60_ten_thousand_callers_cost_one_exchange(house):
    house.service.delay = 1
    manager = await house.manager()
    work = asyncio.gather(*(manager.token(A) for _ in range(10_000)))
    tokens = await house.soon(work, seconds=5)
    assert len(set(map(id, tokens))) == 1
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f65_failure_is_given_to_all_that_wait_and_costs_one_exchange(house):
    house.service.script = [Response(status=403)]
    manager = await house.manager()
    work = asyncio.gather(
        *(manager.token(A) for _ in range(200)), return_exceptions=True
    )
    failed = await house.soon(work)
    assert all(isinstance(each, ExchangeForbiddenError) for each in failed)
    assert len(set(map(id, failed))) == 200
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f74_caller_that_is_cancelled_again_and_again_harms_nobody(house):
    house.service.delay = 5
    manager = await house.manager()
    for _ in range(20):
        caller = asyncio.ensure_future(manager.token(A))
        await house.settle()
        for _ in range(3):
            caller.cancel()
        await house.settle()
        assert caller.cancelled()
    assert await house.soon(manager.token(A))
    assert len(house.partner.asked) == len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f89_hosts_whose_clocks_differ_agree_on_what_a_token_has_left(
    house, make_house
):
    other = make_house()
    other.clock.advance(77_777)
    store = shared(house)
    first = await house.manager(store=store)
    second = await other.manager(store=store)
    token = await house.soon(first.token(A))
    adopted = await second.token(A)
    assert adopted == token
    left = (token.expires_in - adopted.expires_in).total_seconds()
    assert abs(left) < 1
    assert other.service.requests == []
    await second.aclose()


@pytest.mark.asyncio
async def test_operation_that_always_responds_401_costs_no_code(house):
    manager = await house.manager()
    credential = manager.credential(A)
    token = await house.soon(credential.get())
    await house.pass_time(60)
    for _ in range(5):
        credential.on_success(token, "/inquiries/{inquiry-id}")
        refused = credential.on_unauthorized(token, 1, route="/print")
        assert await house.soon(refused, step=0.1) is token
        assert await credential.on_unauthorized(token, 2, route="/print") is None
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_token_that_is_refused_where_it_worked_is_replaced(house):
    manager = await house.manager()
    credential = manager.credential(A)
    token = await house.soon(credential.get())
    credential.on_success(token, "/inquiries/{inquiry-id}")
    await house.pass_time(60)
    route = "/inquiries/{inquiry-id}"
    again = credential.on_unauthorized(token, 1, route=route)
    assert await house.soon(again, step=0.1) is token
    new = await house.soon(credential.on_unauthorized(token, 2, route=route))
    assert new != token
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_generations_start_at_one_and_increase_when_scopes_are_many(house):
    manager = await house.manager()
    first, other = await manager.token(A), await manager.token(B)
    assert (first.generation, other.generation) == (1, 1)
    await house.pass_time(3_600)
    assert (await manager.token(A)).generation == 2
    manager.invalidate(await manager.token(A))
    assert (await manager.token(A)).generation == 3
    await manager.forget(A)
    assert (await manager.token(A)).generation == 4
    assert (await manager.token(B)).generation == 2


class Slow:
    """A store whose responses take half a second."""

    accepts_secrets = True

    def __init__(self, inner, clock):
        self._inner, self._clock = inner, clock

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def read(self, key):
        found = await self._inner.read(key)
        self._clock.advance(0.5)
        return found

    async def write(self, key, value, *, if_etag, ttl):
        written = await self._inner.write(key, value, if_etag=if_etag, ttl=ttl)
        self._clock.advance(0.5)
        return written


@pytest.mark.asyncio
async def test_generation_stays_when_publishing_corrects_the_expiry(house):
    store = Slow(MemoryStore(runtime=house.context.runtime), house.clock)
    manager = await house.manager(store=store)
    token = await manager.token(A)
    await house.settle()
    corrected = await manager.token(A)
    assert corrected.reveal() == token.reveal()
    assert corrected.ends < token.ends
    assert (token.generation, corrected.generation) == (1, 1)
    assert len(house.service.requests) == 1


class StandingStill:
    """A store whose clock stands still: nothing in it ever expires."""

    accepts_secrets = True

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def read(self, key):
        return attrs.evolve(await self._inner.read(key), now=1_000.0)

    async def write(self, key, value, *, if_etag, ttl):  # as it is
        return await self._inner.write(key, value, if_etag=if_etag, ttl=math.inf)


@pytest.mark.asyncio
@pytest.mark.parametrize("stands_still", [False, True])
async def test_f129_lease_of_a_dead_owner_in_a_process_of_the_same_id_ends(
    house, stands_still
):
    """Managers of one process have one process id; a lease belongs to an acquisition."""
    store = StandingStill(shared(house)) if stands_still else shared(house)

    async def silent(_scope):
        await asyncio.Event().wait()

    dead = await house.manager(store=Broken(store, None, 2), codes=silent)
    successor = await house.manager(store=store)
    left_behind = asyncio.ensure_future(dead.token(A))
    await house.settle()
    waiting = asyncio.ensure_future(successor.token(A))
    await house.pass_time(14, step=0.5)
    assert house.partner.asked == []
    assert await house.soon(waiting, seconds=3)
    assert len(house.partner.asked) == len(house.service.requests) == 1
    left_behind.cancel()


class Forgetful:
    """A store that writes, and whose first answer says that it did not."""

    accepts_secrets = True

    def __init__(self, inner):
        self._inner, self._answered = inner, False

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def write(self, key, value, *, if_etag, ttl):
        written = await self._inner.write(key, value, if_etag=if_etag, ttl=ttl)
        answer, self._answered = written and self._answered, True
        return answer


@pytest.mark.asyncio
async def test_offered_code_is_noted_when_the_answer_of_its_write_is_lost(house):
    manager = await house.manager(store=Forgetful(shared(house)), codes=None)
    code = house.partner.code(A)
    for _ in range(2):
        await manager.offer(code, A)
        assert manager.metrics().codes_waiting == 1
    assert len(house.told(events.CodeQueued)) == 1
