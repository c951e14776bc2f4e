"""Closing a manager: what is given back, what is kept, and what must not remain."""

import asyncio

import pytest

from persona_share import RenewalPolicy, Scope, ScopedTokenManager
from persona_share.errors import (
    ManagerClosedError,
    StoreUnavailableError,
    WrongEventLoopError,
)
from persona_share.stores import MemoryStore


A, B = Scope.read("inq_1"), Scope.read("ver_2")


class SlowStore(MemoryStore):
    """A store whose operations take a few turns of the loop, and that counts them."""

    closed = False
    used_after_closing = 0

    async def _turns(self):
        self.used_after_closing += self.closed
        for _ in range(3):
            await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop

    async def read(self, key):
        await self._turns()
        return await super().read(key)

    async def write(self, key, value, **options):
        await self._turns()
        return await super().write(key, value, **options)

    async def aclose(self):
        self.closed = True


@pytest.fixture
def store(harness):
    return SlowStore(runtime=harness.context.runtime)


async def leave(caller):
    """Await a caller, whatever it raises."""
    await asyncio.gather(caller, return_exceptions=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("waits_for", ["source", "service"])
async def test_closed_manager_leaves_no_lease_behind(harness, store, waits_for):
    slow = harness.partner if waits_for == "source" else harness.service
    slow.delay = 30.0
    first, second = [await harness.manager(store=store) for _ in range(2)]
    caller = asyncio.ensure_future(first.token(A, timeout=60))
    for _ in range(5):
        await harness.settle()
    await harness.advance_until_done(first.aclose(), seconds=7)
    await leave(caller)
    slow.delay = 0.0
    assert await harness.advance_until_done(second.token(A), seconds=3)


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(2, 14))
async def test_code_that_has_come_is_kept_when_the_manager_closes(
    harness, store, turns
):
    harness.partner.delay = 1.0
    first, second = [await harness.manager(store=store) for _ in range(2)]
    caller = asyncio.ensure_future(first.token(A))
    for _ in range(3):
        await harness.settle()
    harness.clock.advance(1)
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    await harness.advance_until_done(first.aclose(), seconds=7)
    await leave(caller)
    assert await harness.advance_until_done(second.token(A), seconds=3)
    assert len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
async def test_store_is_not_used_again_when_a_code_comes_after_closing(harness, store):
    async def stubborn(scope):
        try:
            await harness.clock.sleep(30)
        except asyncio.CancelledError:
            await harness.clock.sleep(5)
        return harness.partner.code(scope)

    manager = await harness.manager(store=store, codes=stubborn)
    caller = asyncio.ensure_future(manager.token(A))
    for _ in range(3):
        await harness.settle()
    await harness.advance_until_done(manager.aclose(), seconds=3)
    await leave(caller)
    await harness.advance_clock(6)
    assert store.closed
    assert store.used_after_closing == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(1, 9))
@pytest.mark.parametrize("method", ["offer", "forget"])
async def test_store_is_not_used_after_closing_by_work_that_had_begun(
    harness, store, method, turns
):
    manager = await harness.manager(store=store)
    arguments = [harness.partner.code(A), A] if method == "offer" else [A]
    working = asyncio.ensure_future(getattr(manager, method)(*arguments))
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    await harness.advance_until_done(manager.aclose(), seconds=7)
    await working
    assert store.used_after_closing == 0


@pytest.mark.asyncio
async def test_work_ends_with_an_error_when_closing_does_not_wait_for_it(harness):
    class HangingStore(SlowStore):
        async def read(self, key):
            await asyncio.Event().wait()

    manager = await harness.manager(
        store=HangingStore(runtime=harness.context.runtime),
        renewal=RenewalPolicy(close_timeout=0),
    )
    offering = asyncio.ensure_future(manager.offer(harness.partner.code(A), A))
    await harness.settle()
    await manager.aclose()
    with pytest.raises(ManagerClosedError):
        await offering


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(1, 16))
async def test_manager_closes_completely_when_closing_is_cancelled(
    harness, store, turns
):
    manager = await harness.manager(store=store)
    await harness.advance_until_done(manager.token(B))
    harness.partner.delay = 30.0
    caller = asyncio.ensure_future(manager.token(A))
    await harness.settle()
    closing = asyncio.ensure_future(manager.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
    closing.cancel()
    await leave(closing)
    await harness.advance_until_done(manager.aclose(), seconds=3)
    await leave(caller)
    assert store.closed
    assert "0 tokens" in repr(manager)


@pytest.mark.asyncio
async def test_manager_closes_completely_when_its_code_source_closes_it(harness, store):
    async def source(scope):
        if scope == A:
            await manager.aclose()
        return harness.partner.code(scope)

    manager = await harness.manager(store=store, codes=source)
    await harness.advance_until_done(manager.token(B))
    with pytest.raises(ManagerClosedError):
        await harness.advance_until_done(manager.token(A), seconds=3)
    await harness.advance_until_done(manager.aclose(), seconds=3)
    assert store.closed
    assert "0 tokens" in repr(manager)


@pytest.mark.asyncio
async def test_second_close_ends_with_the_first(harness):
    harness.service.delay = 3.0
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(A))
    await harness.settle()
    closing = [asyncio.ensure_future(manager.aclose()) for _ in range(2)]
    await harness.settle()
    assert not any(each.done() for each in closing)
    await harness.advance_clock(3)
    assert all(each.done() for each in closing)
    assert await caller


@pytest.mark.asyncio
async def test_second_close_in_another_event_loop_is_refused(harness):
    harness.service.delay = 3.0
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(A))
    await harness.settle()
    closing = asyncio.ensure_future(manager.aclose())
    await harness.settle()
    with pytest.raises(WrongEventLoopError):
        await asyncio.to_thread(asyncio.run, manager.aclose())
    await harness.advance_clock(3)
    await closing
    assert await caller


class ClosedDoorStore(MemoryStore):
    """A store that opens when it may, or fails."""

    error = None
    closed = False

    def __init__(self, **options):
        super().__init__(**options)
        self.may_open = asyncio.Event()

    async def open(self):
        if self.error is not None:
            raise self.error
        await self.may_open.wait()

    async def aclose(self):
        self.closed = True


@pytest.mark.asyncio
async def test_store_is_closed_when_entering_the_manager_is_cancelled(harness):
    store = ClosedDoorStore(runtime=harness.context.runtime)
    manager = ScopedTokenManager(harness.context, store=store)
    entering = asyncio.ensure_future(manager.__aenter__())
    await harness.settle()
    entering.cancel()
    await leave(entering)
    assert store.closed


@pytest.mark.asyncio
async def test_manager_that_is_closed_while_it_opens_is_not_entered(harness):
    store = ClosedDoorStore(runtime=harness.context.runtime)
    manager = ScopedTokenManager(harness.context, store=store)
    entering = asyncio.ensure_future(manager.__aenter__())
    await harness.settle()
    await manager.aclose()
    store.may_open.set()
    with pytest.raises(ManagerClosedError):
        await entering


@pytest.mark.asyncio
async def test_strict_manager_leaves_nothing_when_its_store_does_not_open(harness):
    store = ClosedDoorStore(runtime=harness.context.runtime)
    store.error = OSError("disk")
    manager = await harness.manager(store=store, on_store_failure="fail", entered=False)
    with pytest.raises(StoreUnavailableError):
        await manager.__aenter__()
    await harness.settle()
    assert len(asyncio.all_tasks()) == 1
    store.error = None
    store.may_open.set()
    async with manager:
        assert await harness.advance_until_done(manager.token(A), seconds=1)
