"""The life of tokens through the public interface: what must never happen again."""

import asyncio
import contextlib
import math
from datetime import datetime
from types import SimpleNamespace

import attrs
import pytest

from persona_share import Scope, ScopedTokenManager
from persona_share._protocol.http import Response
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeRefusedError,
    CodeSourceError,
    ConfigurationError,
    ConnectionLostError,
    DeadlineExceededError,
    ExchangeForbiddenError,
    InvalidArgumentError,
    InvalidScopeError,
    Phase,
    ScopeNotCoveredError,
    ScopeNotGrantedError,
    StoreUnavailableError,
    TokenRejectedError,
    TooManyWaitersError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.stores import MemoryStore
from persona_share.stores.base import BaseStore
from tests._tokens.conftest import Harness
from tests.resources.conftest import locals_of


A, B = Scope.read("inq_1"), Scope.read("ver_2")
BOTH = A | B


class FailingStore:
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


def shared(harness: Harness) -> MemoryStore:
    return MemoryStore(runtime=harness.context.runtime)


class LimitedStore(MemoryStore):
    """A store some of whose operations raise an error, or that refuses every change."""

    def __init__(self, harness, error=None):
        super().__init__(runtime=harness.context.runtime)
        self.error, self.failing, self.is_stale = error or OSError(), (), False

    async def open(self):
        if "open" in self.failing:
            raise self.error

    async def read(self, key):
        if "read" in self.failing:
            raise self.error
        return await super().read(key)

    async def write(self, key, value, *, if_etag, ttl):
        if "write" in self.failing:
            raise self.error
        if self.is_stale:
            return False
        return await super().write(key, value, if_etag=if_etag, ttl=ttl)


@pytest.mark.asyncio
async def test_store_that_can_be_read_but_not_written_stays_down(harness):
    store = LimitedStore(harness)
    manager = await harness.manager(store=store)
    store.failing = ("write",)
    harness.partner.script = [CodeRefusedError("no")] * 100
    for _ in range(100):
        with pytest.raises(CodeRefusedError):
            await harness.advance_until_done(manager.token(A))
        await harness.advance_clock(2, step=0.5)
    assert len(harness.recorded(events.StoreDown)) == 1
    assert len(harness.partner.requested_scopes) < 10  # the back-off is remembered

    harness.partner.script, store.failing = [], ()
    await harness.advance_clock(300, step=1)
    assert manager.metrics().store_up
    await harness.advance_until_done(manager.token(A))
    assert [key async for key in store.keys("scope/")]


@pytest.mark.asyncio
@pytest.mark.parametrize("failing", [("read",), ("write",)])
async def test_strict_manager_sends_nothing_when_it_finds_its_store_down(
    harness, failing
):
    calls = [
        lambda manager: manager.token(A),
        lambda manager: manager.exchange(named_code("one")),
        lambda manager: manager.offer(named_code("two"), A),
    ]
    for call in calls:
        store = LimitedStore(harness)
        manager = await harness.manager(store=store, on_store_failure="fail")
        store.failing = failing
        with pytest.raises(StoreUnavailableError):
            await harness.advance_until_done(call(manager))
    assert harness.partner.requested_scopes == harness.service.requests == []


@pytest.mark.asyncio
async def test_strict_manager_keeps_a_code_for_a_store_that_failed_after_the_request(
    harness,
):
    store = LimitedStore(harness)
    manager = await harness.manager(store=store, on_store_failure="fail")
    harness.partner.delay = 3
    caller = asyncio.ensure_future(manager.token(A))
    await harness.advance_clock(1)
    store.failing = ("read", "write")
    with pytest.raises(StoreUnavailableError):
        await harness.advance_until_done(caller)
    assert harness.service.requests == []
    store.failing = ()
    await harness.advance_clock(30, step=0.5)
    await harness.advance_until_done(manager.token(A))
    assert len(harness.partner.requested_scopes) == len(harness.service.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("failing", [("read",), ("write",)])
async def test_token_comes_when_the_store_raises_an_error_that_is_no_exception(
    harness, failing
):
    class PanicError(BaseException):
        pass

    store = LimitedStore(harness, PanicError("CANARY"))
    manager = await harness.manager(store=store)
    store.failing = failing
    assert await harness.advance_until_done(manager.token(A))
    assert not manager.metrics().store_up


@pytest.mark.asyncio
async def test_token_comes_when_the_store_refuses_every_change(harness):
    store = LimitedStore(harness)
    manager = await harness.manager(store=store)
    store.is_stale = True
    assert await harness.advance_until_done(manager.token(A), seconds=25)
    assert not manager.metrics().store_up


@pytest.mark.asyncio
async def test_store_that_refuses_changes_of_one_record_is_down_only_once(harness):
    class Stubborn(MemoryStore):
        async def write(self, key, value, **options):
            return "scope/" not in key and await super().write(key, value, **options)

    manager = await harness.manager(store=Stubborn(runtime=harness.context.runtime))
    assert await harness.advance_until_done(manager.token(A), seconds=25)
    await harness.advance_clock(300, step=1)
    assert manager.metrics().store_up
    assert len(harness.recorded(events.StoreDown)) == 1


@pytest.mark.asyncio
async def test_strict_manager_that_is_not_entered_leaves_no_task(harness):
    store = LimitedStore(harness)
    store.failing = ("open",)
    with pytest.raises(StoreUnavailableError):
        await harness.manager(store=store, on_store_failure="fail")
    await harness.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_store_is_closed_when_closing_the_manager_is_cancelled(harness):
    closed = []

    class Closing(MemoryStore):
        async def aclose(self):
            await asyncio.sleep(0)  # noqa: TID251  # lets others run
            closed.append(True)

    manager = await harness.manager(store=Closing(runtime=harness.context.runtime))
    await manager.token(A)
    closing = asyncio.ensure_future(manager.aclose())
    for _ in range(5):  # as a cancel scope of anyio does
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await harness.advance_until_done(manager.aclose())
    assert closed == [True]


@pytest.mark.asyncio
async def test_narrow_scope_never_uses_a_wider_token(harness):
    manager = await harness.manager()
    wide = await manager.token(BOTH)
    narrow = await manager.token(A)
    assert (wide.scope, narrow.scope) == (BOTH, A)
    assert len(harness.service.requests) == 2


@pytest.mark.asyncio
async def test_covering_returns_a_narrowed_session_of_a_held_token_or_none(harness):
    manager = await harness.manager()
    assert manager.covering(A) is None
    await manager.token(BOTH)
    session = manager.covering(A)
    assert session.scope == A
    with pytest.raises(ScopeNotCoveredError):
        session.narrow(B)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f48_short_grant_is_shared_and_costs_the_fleet_one_code(harness):
    store = shared(harness)
    harness.service.grants = A
    managers = [await harness.manager(store=store) for _ in range(4)]
    for manager in managers:
        with pytest.raises(ScopeNotGrantedError) as caught:
            await harness.advance_until_done(manager.token(BOTH))
        assert caught.value.missing == B.text
    assert len(harness.service.requests) == 1
    assert (await managers[0].token(A)).scope == A
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_refusal_of_the_partner_is_shared_and_names_the_part(harness):
    store = shared(harness)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    harness.partner.script = [CodeRefusedError("no consent", refused=B)]
    for manager in (first, second):
        with pytest.raises(CodeRefusedError) as caught:
            await harness.advance_until_done(manager.token(BOTH))
        assert caught.value.refused == B
        assert not caught.value.retryable
    assert len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
async def test_slow_source_is_asked_once_by_six_managers(harness):
    store = shared(harness)
    harness.partner.delay = 45
    managers = [await harness.manager(store=store) for _ in range(6)]
    work = asyncio.gather(*(each.token(A, timeout=60) for each in managers))
    tokens = await harness.advance_until_done(work, seconds=70)
    assert len({token.reveal() for token in tokens}) == 1
    assert len(harness.partner.requested_scopes) == len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f62_f63_cancelled_only_caller_leaves_no_lease_behind(harness):
    store = shared(harness)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    harness.service.delay = 5
    caller = asyncio.ensure_future(first.token(A))
    await harness.settle()
    caller.cancel()
    await harness.advance_clock(6, step=1)
    harness.service.delay = 0
    assert await harness.advance_until_done(second.token(A), seconds=2)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f64_caller_that_leaves_the_source_early_does_not_waste_its_code(harness):
    harness.partner.delay = 12
    manager = await harness.manager()
    with pytest.raises(TimeoutError, match="waited 10 s for the code source"):
        await harness.advance_until_done(manager.token(A, timeout=10), seconds=11)
    await harness.advance_clock(3)
    assert await harness.advance_until_done(manager.token(A), seconds=1)
    assert len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
async def test_failures_of_one_partner_slow_no_other_down(harness):
    manager = await harness.manager()
    harness.service.script = [Response(status=400)] * 2
    with pytest.raises(Exception, match="refused"):
        await harness.advance_until_done(manager.token(A))
    assert await harness.advance_until_done(manager.token(B), seconds=1)
    harness.service.script = [Response(status=403)]
    with pytest.raises(ExchangeForbiddenError):
        await harness.advance_until_done(manager.token(Scope.read("act_3")))
    assert await harness.advance_until_done(
        manager.token(Scope.read("act_4")), seconds=1
    )


@pytest.mark.asyncio
async def test_f49_wide_code_for_two_narrow_scopes_serves_both(harness):
    async def one_code(_scope):
        return f"code1.{BOTH.text.encode().hex()}"

    manager = await harness.manager(codes=one_code)
    tokens = await harness.advance_until_done(
        asyncio.gather(manager.token(A), manager.token(B))
    )
    assert {token.reveal() for token in tokens} == {"token1"}
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_delivered_to_two_managers_at_once_returns_its_scope_twice(harness):
    store = shared(harness)
    managers = [await harness.manager(store=store, codes=None) for _ in range(2)]
    harness.service.delay = 1
    code = harness.partner.code(A)
    work = asyncio.gather(*(each.exchange(code, scope=A) for each in managers))
    assert await harness.advance_until_done(work) == [A, A]
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_offered_code_is_used_by_another_manager(harness):
    store = shared(harness)
    first, second = [await harness.manager(store=store, codes=None) for _ in range(2)]
    await first.offer(harness.partner.code(A), A)
    assert (await harness.advance_until_done(second.token(A))).scope == A


@pytest.mark.asyncio
async def test_rejected_token_is_rejected_for_the_fleet_and_loops_end(harness):
    store = shared(harness)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    for _ in range(3):
        token = await harness.advance_until_done(first.token(A))
        first.invalidate(token)
        await harness.settle()
        for manager in (first, second):
            assert manager.peek(A) is None or manager.peek(A) != token
    with pytest.raises(TokenRejectedError):
        await harness.advance_until_done(second.token(A))
    assert len(harness.service.requests) == 3


@pytest.mark.asyncio
async def test_token_of_another_manager_is_not_invalidated(harness):
    one, other = [await harness.manager() for _ in range(2)]
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
    harness, error, after
):
    store = FailingStore(shared(harness), error, after)
    manager = await harness.manager(store=store)
    token = await harness.advance_until_done(manager.token(A), seconds=20)
    await harness.advance_clock(5, step=1)
    assert (await manager.token(A)) == token
    assert len(harness.service.requests) == 1


class HalfStore(MemoryStore):
    """A store that replaces operations by some that raise, or hang."""

    error = None

    async def _trouble(self):
        if self.error is None:
            await asyncio.Event().wait()
        raise self.error

    async def read(self, key):
        await self._trouble()

    async def aclose(self):
        await self._trouble()


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [None, ValueError("no")], ids=["hang", "ValueError"])
async def test_token_comes_when_a_subclass_of_our_store_fails(harness, error):
    store = HalfStore(runtime=harness.context.runtime)
    store.error = error
    manager = await harness.manager(store=store)
    assert await harness.advance_until_done(manager.token(A), seconds=20)
    await harness.advance_until_done(manager.aclose(), seconds=10)


class StubbornStore(MemoryStore):
    """A store that hangs, and ignores cancellations until it may end."""

    def __init__(self, **options):
        super().__init__(**options)
        self.may_end = asyncio.Event()

    async def aclose(self):
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()

    async def read(self, key):
        await self.aclose()
        return await super().read(key)


@pytest.mark.asyncio
async def test_manager_is_closed_within_four_seconds_when_the_store_is_not(harness):
    store = StubbornStore(runtime=harness.context.runtime)
    manager = await harness.manager(store=store)
    try:
        await harness.advance_until_done(manager.token(A), seconds=4)
        await harness.advance_until_done(manager.aclose(), seconds=4)
    finally:
        store.may_end.set()
        await harness.settle()


class OneAtATimeStore(BaseStore):
    """A store that does one operation at a time, in 0.4 s each."""

    _concurrency = 1

    def __init__(self, runtime):
        super().__init__(runtime)
        self._inner = MemoryStore(runtime=runtime)

    async def _open(self):
        pass

    async def _read(self, key):
        await self._runtime.clock.sleep(0.4)
        return await self._inner.read(key)

    async def _write(self, key, value, etag, if_etag, ttl):
        await self._runtime.clock.sleep(0.4)
        return await self._inner.write(key, value, if_etag=if_etag, ttl=ttl)

    async def _pages(self, prefix):
        yield [key async for key in self._inner.keys(prefix)]

    async def _aclose(self):
        pass


@pytest.mark.asyncio
async def test_store_counts_as_down_when_a_turn_takes_twenty_seconds(harness):
    manager = await harness.manager(store=OneAtATimeStore(harness.context.runtime))
    scopes = [Scope.read(f"inq_{each}") for each in range(100)]
    acquiring = [asyncio.ensure_future(manager.token(scope)) for scope in scopes]
    await harness.advance_clock(19.8, step=0.2)
    assert manager.metrics().store_up
    await harness.advance_clock(0.4, step=0.2)
    assert not manager.metrics().store_up
    for each in acquiring:
        each.cancel()


@pytest.mark.asyncio
async def test_token_comes_when_its_record_is_too_long_for_the_store(
    harness, monkeypatch
):
    monkeypatch.setattr("persona_share.stores.memory.MemoryStore._largest", 10)
    manager = await harness.manager(store=shared(harness))
    assert await harness.advance_until_done(manager.token(A), seconds=1)


@pytest.mark.asyncio
async def test_scope_is_shared_again_after_an_unreadable_record_has_expired(harness):
    store = shared(harness)
    managers = [await harness.manager(store=store) for _ in range(2)]
    await managers[0].token(A)
    [key] = [key async for key in store.keys("scope/")]
    etag = (await store.read(key)).etag
    assert await store.write(key, b"of a later version", if_etag=etag, ttl=3_700)
    for number, requests in enumerate((3, 5, 6)):
        await harness.advance_clock(3_600)
        for manager in managers:
            assert await harness.advance_until_done(manager.token(A))
        assert len(harness.service.requests) == requests, number


@pytest.mark.asyncio
async def test_code_that_is_offered_before_an_unreadable_record_expires_is_used(
    harness,
):
    store, codes = shared(harness), [harness.partner.code(each) for each in (B, A)]
    manager = await harness.manager(store=store, codes=None)
    await manager.offer(codes[0], A)
    [key] = [key async for key in store.keys("scope/")]
    etag = (await store.read(key)).etag
    assert await store.write(key, b"of a later version", if_etag=etag, ttl=3_700)
    await manager.forget(A)
    await harness.advance_clock(4_190)
    await manager.offer(codes[1], A)
    await harness.advance_clock(20)
    assert await harness.advance_until_done(manager.token(A))
    assert harness.service.codes == codes[1:]


@pytest.mark.asyncio
async def test_last_code_is_exchanged_at_once_when_those_before_it_are_withdrawn(
    harness,
):
    harness.service.headers = {"ratelimit-limit": "150"}  # one each two seconds
    manager = await harness.manager(codes=None)
    codes = [harness.partner.code(Scope.read(f"inq_{each}")) for each in range(180)]
    waiting = []
    for code in codes:
        waiting.append(asyncio.ensure_future(manager.exchange(code)))
        await harness.advance_clock(0.001)
    *leaving, last = waiting
    await harness.advance_clock(5, step=0.5)
    for each in leaving:
        each.cancel()
    await harness.advance_until_done(last, seconds=8)


@pytest.mark.asyncio
async def test_strict_manager_says_that_the_store_is_down_and_serves_what_it_holds(
    harness,
):
    store = FailingStore(shared(harness), OSError("disk"), 12)
    manager = await harness.manager(store=store, on_store_failure="fail")
    token = await harness.advance_until_done(manager.token(A))
    await harness.advance_clock(1)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            await harness.advance_until_done(manager.token(B), seconds=20)
    assert (await manager.token(A)) == token


async def cancelled_at(harness, awaits):
    """Cancel the only caller after so many turns of the loop; another one follows."""
    store = shared(harness)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    caller = asyncio.ensure_future(first.token(A))
    for _ in range(awaits):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    caller.cancel()
    await harness.settle()
    assert await harness.advance_until_done(second.token(A), seconds=3)
    assert len(harness.partner.requested_scopes) == len(harness.service.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("awaits", range(0, 60, 3))
async def test_f61_f73_cancellation_at_any_await_loses_no_code_and_serves_the_next(
    harness, awaits
):
    await cancelled_at(harness, awaits)


if hasattr(asyncio, "eager_task_factory"):

    @pytest.mark.asyncio
    @pytest.mark.parametrize("awaits", range(0, 60, 3))
    async def test_f61_f73_cancellation_loses_no_code_when_tasks_start_at_once(
        harness, awaits
    ):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await cancelled_at(harness, awaits)


class TurningStore(MemoryStore):
    """A store whose operations take a few turns of the loop."""

    async def read(self, key):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
        return await super().read(key)

    async def write(self, key, value, **options):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
        return await super().write(key, value, **options)


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(10))
async def test_token_of_a_repeated_response_is_kept_when_its_only_caller_leaves(
    harness, turns
):
    store = TurningStore(runtime=harness.context.runtime)
    manager = await harness.manager(store=store)
    harness.service.script = [ConnectionLostError("the response was lost")]
    harness.service.when_issued = asyncio.Event()
    caller = asyncio.ensure_future(manager.token(A))
    for _ in range(5):
        await harness.settle()
    harness.clock.advance(1)
    await harness.service.when_issued.wait()
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    caller.cancel()
    for _ in range(5):
        await harness.settle()
    assert manager.peek(A) is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("delivered_to", [0, 1])
async def test_caller_that_waits_for_the_source_gets_a_token_that_was_delivered(
    harness, delivered_to
):
    harness.partner.delay = 50.0
    store = shared(harness)
    managers = [await harness.manager(store=store) for _ in range(2)]
    caller = asyncio.ensure_future(managers[0].token(A))
    await harness.settle()
    await managers[delivered_to].exchange(harness.partner.code(A), scope=A)
    assert await harness.advance_until_done(caller, seconds=6)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_that_the_source_offers_is_used_although_it_returns_none(harness):
    async def source(scope):
        await manager.offer(harness.partner.code(scope), scope)

    manager = await harness.manager(codes=source)
    assert await manager.token(A)


@pytest.mark.asyncio
async def test_delivered_token_is_kept_when_all_others_are_pinned(harness):
    manager = await harness.manager(renewal=RenewalPolicy(max_tokens=1))
    await manager.warm(A)
    assert await manager.exchange(harness.partner.code(B)) == B
    assert manager.peek(B) is not None


@pytest.mark.asyncio
async def test_forgetting_a_scope_does_not_end_its_backoff_for_rejections(harness):
    manager = await harness.manager()
    for _ in range(3):
        manager.invalidate(await manager.token(A))
        await harness.settle()
    await manager.forget(A)
    with pytest.raises(TokenRejectedError):
        await manager.token(A)
    assert len(harness.service.requests) == 3


@pytest.mark.asyncio
async def test_token_that_was_forgotten_in_an_outage_does_not_come_back(harness):
    store = FailingStore(shared(harness), OSError("disk"), 0)
    manager = await harness.manager(store=store)
    await manager.token(A)
    await manager.forget(A)
    store._left = 1_000  # the store works again
    await harness.advance_clock(5, step=1)
    assert manager.metrics().store_up
    assert manager.peek(A) is None


class LateStore(MemoryStore):
    """A store whose responses take a few turns of the loop."""

    async def _turns(self, result):
        for _ in range(3):
            await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
        return result

    async def read(self, key):
        return await self._turns(await super().read(key))

    async def write(self, key, value, **options):
        return await self._turns(await super().write(key, value, **options))


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_token_that_is_forgotten_while_it_is_published_does_not_come_back(
    harness, turns
):
    store = LateStore(runtime=harness.context.runtime)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    await first.token(A)
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    await first.forget(A)
    await harness.settle()
    assert first.peek(A) is None
    await second.token(A)
    assert len(harness.service.requests) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("number", ["code_lifetime", "exchange_budget"])
async def test_token_is_shared_when_a_number_of_the_policy_is_infinite(harness, number):
    store, renewal = shared(harness), RenewalPolicy(**{number: math.inf})
    for _ in range(2):
        manager = await harness.manager(store=store, renewal=renewal)
        assert await harness.advance_until_done(manager.token(A), seconds=3)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_with_a_life_of_two_hours_is_kept_for_as_long(harness):
    renewal = RenewalPolicy(code_lifetime=7200)
    manager = await harness.manager(codes=None, renewal=renewal)
    await manager.offer(harness.partner.code(A), A)
    await harness.advance_clock(6_000)
    assert await manager.token(A)


@pytest.mark.asyncio
async def test_hook_can_read_the_metrics_when_codes_expire(harness):
    expired = []

    def hook(event):
        if isinstance(event, events.CodeExpiredUnused):
            expired.append(manager.metrics().codes_waiting)

    manager = ScopedTokenManager(harness.context, hooks=[hook])
    async with manager:
        for number in range(3):
            await manager.offer(f"code{number}", A)
        harness.clock.advance(700)
        assert manager.metrics().codes_waiting == 0
    assert len(expired) == 3


@pytest.mark.asyncio
async def test_refresh_is_under_way_when_its_event_is_emitted(harness):
    started = []

    def hook(event):
        if isinstance(event, events.RenewalStarted):
            started.append(credential.cached())

    manager = ScopedTokenManager(harness.context, codes=harness.partner, hooks=[hook])
    harness.managers.append(manager)
    async with manager:
        credential = manager.credential(A)
        token = await credential.get()
        harness.clock.advance(3_400)
        assert credential.cached() is token
        assert started == [token]


class Unusual(BaseException):
    """An exception that `except Exception` does not catch."""


@pytest.mark.asyncio
async def test_tokens_are_refreshed_although_a_hook_raises_a_base_exception(harness):
    def hook(event):
        if isinstance(event, events.RenewalStarted):
            raise Unusual

    manager = ScopedTokenManager(harness.context, codes=harness.partner, hooks=[hook])
    harness.managers.append(manager)
    async with manager:
        await manager.warm(A)
        for _ in range(3):
            await harness.advance_clock(3_300, step=300)
            assert manager.peek(A) is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [["inquiry.read:inq_1"], {A}, None, 5])
async def test_scope_of_the_wrong_type_is_refused_with_words(harness, wrong):
    manager = await harness.manager()
    with pytest.raises(InvalidScopeError, match="a scope must be"):
        await manager.token(wrong)


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [math.nan, "5", True])
async def test_timeout_that_is_no_number_is_refused(harness, wrong):
    manager = await harness.manager()
    with pytest.raises(InvalidArgumentError, match="timeout must be a number"):
        await manager.token(A, timeout=wrong)


@pytest.mark.asyncio
async def test_source_that_gives_a_refused_code_again_is_asked_twice_only(harness):
    async def same_code(scope):
        harness.partner.requested_scopes.append(scope)
        return f"code1.{A.text.encode().hex()}"

    manager = await harness.manager(codes=same_code)
    harness.service.script = [Response(status=400)]
    with pytest.raises(CodeAlreadyUsedError):
        await harness.advance_until_done(manager.token(A))
    assert len(harness.partner.requested_scopes) == 2
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_that_is_delivered_again_returns_its_scope_without_a_request(
    harness,
):
    manager = await harness.manager(codes=None)
    code = harness.partner.code(A)
    for _ in range(3):
        assert await harness.advance_until_done(manager.exchange(code, scope=A)) == A
    assert len(harness.service.requests) == 1
    await manager.forget(A)
    with pytest.raises(CodeAlreadyUsedError):
        await harness.advance_until_done(manager.exchange(code, scope=A))
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_each_delivery_of_a_code_is_compared_with_the_scope_that_it_expects(
    harness,
):
    harness.service.grants, harness.service.delay = B, 1.0
    manager = await harness.manager(codes=None)
    code = harness.partner.code(A)
    for _ in range(2):
        deliveries = asyncio.gather(
            manager.exchange(code),
            manager.exchange(code, scope=A),
            return_exceptions=True,
        )
        granted, error = await harness.advance_until_done(deliveries)
        assert granted == B
        assert isinstance(error, ScopeNotGrantedError)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["exchange", "offer"])
@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("CANARY", {"scope": "none"}),
        ("CANARY", {"scope": A, "expires_at": datetime(2026, 1, 1)}),  # noqa: DTZ001  # refused
        ("CANARY", {"scope": A, "expires_at": "soon"}),
        ("CANARY in two words", {"scope": A}),
    ],
    ids=["scope", "time_zone", "expiry", "code"],
)
async def test_no_frame_of_a_refusal_shows_a_delivered_code(
    harness, method, code, options
):
    manager = await harness.manager()
    with pytest.raises(InvalidArgumentError) as caught:
        await getattr(manager, method)(code, **options)
    assert "CANARY" not in locals_of(caught.value)


@pytest.mark.asyncio
async def test_token_of_a_code_serves_the_scope_of_each_delivery(harness):
    manager = await harness.manager(codes=None)
    code = harness.partner.code(BOTH)
    for scope in (None, A):
        assert await manager.exchange(code, scope=scope) == BOTH
    assert await manager.token(A) == await manager.token(BOTH)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_whose_token_has_expired_returns_no_scope(harness):
    manager = await harness.manager(store=shared(harness), codes=None)
    code = harness.partner.code(A)
    assert await harness.advance_until_done(manager.exchange(code, scope=A)) == A
    await harness.advance_clock(3600, step=60)
    with pytest.raises(CodeAlreadyUsedError):
        await harness.advance_until_done(manager.exchange(code, scope=A))
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_waiting_is_observable(harness, caplog):
    caplog.set_level("INFO", logger="persona_share")
    harness.partner.delay = 5
    manager = await harness.manager()
    await harness.advance_until_done(manager.token(A))
    [event] = harness.recorded(events.TokenWaiting)
    assert event.reason == "the code source"
    assert manager.metrics().waits == {"the code source": 1}
    lines = [each for each in caplog.records if "waits for" in each.message]
    assert len(lines) == 1


def named_code(name):
    return f"{name}.{A.text.encode().hex()}"


@pytest.mark.asyncio
@pytest.mark.parametrize("shares", [False, True])
async def test_delivered_code_comes_first_although_the_old_token_is_rejected(
    harness, shares
):
    options = {"store": shared(harness)} if shares else {}
    manager = await harness.manager(**options)
    await harness.advance_until_done(manager.exchange(named_code("first"), scope=A))
    old = await manager.token(A)
    harness.service.delay = 3
    delivery = asyncio.ensure_future(manager.exchange(named_code("second"), scope=A))
    await harness.settle()
    manager.invalidate(old)
    await harness.settle()
    assert await harness.advance_until_done(manager.token(A)) != old
    await delivery
    assert harness.service.codes == [named_code("first"), named_code("second")]


@pytest.mark.asyncio
@pytest.mark.parametrize("names", [("good", "bad"), ("bad", "good")])
async def test_caller_waits_for_all_delivered_codes_of_its_scope(harness, names):
    send = harness.service.send

    async def refuse_one(request):
        if "bad" not in request.body.decode():
            await harness.clock.sleep(3)
            return await send(request)
        await harness.clock.sleep(1)
        return Response(status=422, first_sent_at=harness.clock.now())

    harness.context.exchanger = SimpleNamespace(send=refuse_one)
    manager = await harness.manager(codes=None)
    deliveries = []
    for name in names:
        exchange = manager.exchange(named_code(name), scope=A)
        deliveries.append(asyncio.ensure_future(exchange))
        await harness.settle()
    assert await harness.advance_until_done(manager.token(A))
    await asyncio.gather(*deliveries, return_exceptions=True)


@pytest.mark.asyncio
async def test_delivered_code_is_exchanged_for_a_caller_when_its_own_caller_leaves(
    harness,
):
    manager = await harness.manager()
    harness.service.script = [Response(status=429, headers={"retry-after": "5"})]
    other = asyncio.ensure_future(manager.token(B))
    await harness.settle()
    delivery = asyncio.ensure_future(manager.exchange(named_code("first"), scope=A))
    await harness.settle()
    caller = asyncio.ensure_future(manager.token(A))
    await harness.settle()
    delivery.cancel()
    await harness.advance_until_done(asyncio.gather(caller, other))
    assert harness.partner.requested_scopes == [B]
    assert named_code("first") in harness.service.codes


class CountingStore:
    """A store of a user, with latency, that can be down."""

    accepts_secrets = True

    def __init__(self, harness):
        self._store = shared(harness)
        self._clock = harness.clock
        self.latency = 0.0
        self.down = False
        self.opened = self.reads = 0

    async def open(self):
        self.opened += 1

    async def aclose(self):
        pass

    async def read(self, key):
        if self.down:
            raise OSError
        self.reads += 1
        await self._clock.sleep(self.latency)
        found = await self._store.read(key)
        await self._clock.sleep(self.latency)
        return found

    async def write(self, key, value, *, if_etag, ttl):
        return await self._store.write(key, value, if_etag=if_etag, ttl=ttl)

    def keys(self, prefix):
        return self._store.keys(prefix)


@pytest.mark.asyncio
async def test_token_that_is_barely_better_is_adopted_from_a_slow_store(harness):
    store = CountingStore(harness)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    ends = harness.clock.now() + 3599
    await harness.advance_until_done(first.exchange(named_code("first"), scope=A))
    await harness.clock.settle()
    await harness.advance_clock(3599 / 20 + 0.002)
    await harness.advance_until_done(second.exchange(named_code("second"), scope=A))
    await harness.clock.settle()
    store.latency = 0.01
    await harness.advance_clock(ends - harness.clock.now() - 60, step=50)
    store.reads = 0
    caller = asyncio.ensure_future(first.token(A))
    token = await harness.advance_until_done(caller, seconds=5, step=0.01)
    assert token.ends > ends
    assert store.reads < 10


@pytest.mark.asyncio
async def test_store_that_was_opened_is_not_opened_again_after_an_outage(harness):
    store = CountingStore(harness)
    manager = await harness.manager(store=store)
    store.down = True
    await harness.advance_until_done(manager.token(A))
    await harness.advance_clock(20, step=0.5)
    assert not manager.metrics().store_up
    store.down = False
    await harness.advance_clock(60, step=0.5)
    assert manager.metrics().store_up
    assert store.opened == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("response", "phase"),
    [
        # One exchange a minute, and one is done.
        (Response(status=200, headers={"ratelimit-limit": "2"}), Phase.NOT_SENT),
        (Response(status=429, headers={"retry-after": "30"}), Phase.AMBIGUOUS),
    ],
    ids=["limit", "429"],
)
async def test_wait_for_the_rate_limit_of_exchanges_is_observable(
    harness, response, phase
):
    manager = await harness.manager()
    if response.ok:
        harness.service.headers = response.headers
        await harness.advance_until_done(manager.token(B))
    else:
        harness.service.script = [response]
    with pytest.raises(
        DeadlineExceededError, match=r"waited \d+ s for the rate limit of exchanges"
    ) as caught:
        await harness.advance_until_done(manager.token(A, timeout=10), seconds=11)
    assert caught.value.phase is phase
    [event] = harness.recorded(events.TokenWaiting)
    assert event.reason == "the rate limit of exchanges"


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["999999999", "1e400", "-5", "nan"])
async def test_no_header_stops_exchanges_for_longer_than_an_hour(harness, value):
    harness.service.script = [Response(status=429, headers={"retry-after": value})]
    manager = await harness.manager()
    with_error = asyncio.gather(manager.token(A), return_exceptions=True)
    await harness.advance_until_done(with_error, seconds=120)
    harness.clock.advance(3_601)
    await harness.settle()
    assert await harness.advance_until_done(manager.token(A), seconds=30)


@pytest.mark.asyncio
async def test_metrics_count_tokens_by_state(harness):
    manager = await harness.manager()
    for number in range(5):
        await manager.token(Scope.read(f"inq_{number}"))
    assert manager.metrics().tokens == {"fresh": 5}
    assert manager.metrics().nearest_end == 3599
    harness.clock.advance(3_595)
    assert manager.metrics().tokens == {"expired": 5}


@pytest.mark.asyncio
async def test_pinned_scope_is_kept_ready_after_a_rejection(harness):
    manager = await harness.manager()
    await manager.warm(A)
    manager.invalidate(await manager.token(A))
    await harness.advance_clock(6, step=1)
    assert manager.peek(A) is not None
    await manager.forget(A)
    assert manager.peek(A) is None


@pytest.mark.asyncio
async def test_source_that_raises_is_named_with_the_users_line(harness):
    async def broken(_scope):
        return [].pop()

    manager = await harness.manager(codes=broken)
    with pytest.raises(CodeSourceError, match=r"IndexError \(test_life.py:.* broken"):
        await manager.token(A)


@pytest.mark.parametrize(
    "options",
    [{"codes": "text"}, {"store": "tokens.db"}, {"hooks": print}, {"hooks": [7]}],
)
@pytest.mark.asyncio
async def test_arguments_of_the_wrong_kind_are_refused_at_construction(
    harness, options
):
    with pytest.raises(ConfigurationError):
        ScopedTokenManager(harness.context, **options)
    with pytest.raises(ConfigurationError):
        ScopedTokenManager("key")


@pytest.mark.asyncio
async def test_f60_ten_thousand_callers_cost_one_exchange(harness):
    harness.service.delay = 1
    manager = await harness.manager()
    work = asyncio.gather(*(manager.token(A) for _ in range(10_000)))
    await harness.settle()
    with pytest.raises(TooManyWaitersError):
        await manager.token(A)
    tokens = await harness.advance_until_done(work, seconds=5)
    assert len(set(map(id, tokens))) == 1
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f65_failure_is_given_to_all_that_wait_and_costs_one_exchange(harness):
    harness.service.script = [Response(status=403)]
    manager = await harness.manager()
    work = asyncio.gather(
        *(manager.token(A) for _ in range(200)), return_exceptions=True
    )
    failed = await harness.advance_until_done(work)
    assert all(isinstance(each, ExchangeForbiddenError) for each in failed)
    assert len(set(map(id, failed))) == 200
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f74_repeated_cancellation_does_not_affect_other_callers(harness):
    harness.service.delay = 5
    manager = await harness.manager()
    for _ in range(20):
        caller = asyncio.ensure_future(manager.token(A))
        await harness.settle()
        for _ in range(3):
            caller.cancel()
        await harness.settle()
        assert caller.cancelled()
    assert await harness.advance_until_done(manager.token(A))
    assert len(harness.partner.requested_scopes) == len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f89_hosts_whose_clocks_differ_agree_on_what_a_token_has_left(
    harness, make_harness
):
    other = make_harness()
    other.clock.advance(77_777)
    store = shared(harness)
    first = await harness.manager(store=store)
    second = await other.manager(store=store)
    token = await harness.advance_until_done(first.token(A))
    adopted = await second.token(A)
    assert adopted == token
    left = (token.expires_in - adopted.expires_in).total_seconds()
    assert abs(left) < 1
    assert other.service.requests == []
    await second.aclose()


@pytest.mark.asyncio
async def test_operation_that_always_responds_401_costs_no_code(harness):
    manager = await harness.manager()
    credential = manager.credential(A)
    token = await harness.advance_until_done(credential.get())
    await harness.advance_clock(60)
    for _ in range(5):
        credential.on_success(token, "/inquiries/{inquiry-id}")
        refused = credential.on_unauthorized(token, 1, route="/print")
        assert await harness.advance_until_done(refused, step=0.1) is token
        assert await credential.on_unauthorized(token, 2, route="/print") is None
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_token_that_is_refused_where_it_worked_is_replaced(harness):
    manager = await harness.manager()
    credential = manager.credential(A)
    token = await harness.advance_until_done(credential.get())
    credential.on_success(token, "/inquiries/{inquiry-id}")
    await harness.advance_clock(60)
    route = "/inquiries/{inquiry-id}"
    again = credential.on_unauthorized(token, 1, route=route)
    assert await harness.advance_until_done(again, step=0.1) is token
    new = await harness.advance_until_done(
        credential.on_unauthorized(token, 2, route=route)
    )
    assert new != token
    assert len(harness.service.requests) == 2


@pytest.mark.asyncio
async def test_generations_start_at_one_and_increase_when_scopes_are_many(harness):
    manager = await harness.manager()
    first, other = await manager.token(A), await manager.token(B)
    assert (first.generation, other.generation) == (1, 1)
    await harness.advance_clock(3_600)
    assert (await manager.token(A)).generation == 2
    manager.invalidate(await manager.token(A))
    assert (await manager.token(A)).generation == 3
    await manager.forget(A)
    assert (await manager.token(A)).generation == 4
    assert (await manager.token(B)).generation == 2


class SlowStore:
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
async def test_generation_stays_when_publishing_corrects_the_expiry(harness):
    store = SlowStore(MemoryStore(runtime=harness.context.runtime), harness.clock)
    manager = await harness.manager(store=store)
    token = await manager.token(A)
    await harness.settle()
    corrected = await manager.token(A)
    assert corrected.reveal() == token.reveal()
    assert corrected.ends < token.ends
    assert (token.generation, corrected.generation) == (1, 1)
    assert len(harness.service.requests) == 1


class FrozenClockStore:
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
    harness, stands_still
):
    """Managers of one process have one process id; a lease belongs to an acquisition."""
    store = FrozenClockStore(shared(harness)) if stands_still else shared(harness)

    async def silent(_scope):
        await asyncio.Event().wait()

    dead = await harness.manager(store=FailingStore(store, None, 2), codes=silent)
    successor = await harness.manager(store=store)
    left_behind = asyncio.ensure_future(dead.token(A))
    await harness.settle()
    waiting = asyncio.ensure_future(successor.token(A))
    await harness.advance_clock(14, step=0.5)
    assert harness.partner.requested_scopes == []
    assert await harness.advance_until_done(waiting, seconds=3)
    assert len(harness.partner.requested_scopes) == len(harness.service.requests) == 1
    left_behind.cancel()


class LostResponseStore:
    """A store that loses the response to its first write."""

    accepts_secrets = True

    def __init__(self, inner):
        self._inner, self._answered = inner, False

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def write(self, key, value, *, if_etag, ttl):
        written = await self._inner.write(key, value, if_etag=if_etag, ttl=ttl)
        reported, self._answered = written and self._answered, True
        return reported


@pytest.mark.asyncio
async def test_offered_code_is_recorded_when_the_response_to_its_write_is_lost(harness):
    manager = await harness.manager(
        store=LostResponseStore(shared(harness)), codes=None
    )
    code = harness.partner.code(A)
    for _ in range(2):
        await manager.offer(code, A)
        assert manager.metrics().codes_waiting == 1
    assert len(harness.recorded(events.CodeQueued)) == 1
