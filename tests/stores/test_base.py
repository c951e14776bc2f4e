"""The edge of a store: checks, a time limit, and store errors only."""

import asyncio
import math
import traceback
from contextlib import suppress

import attrs
import pytest

from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Versioned
from persona_share.stores.access import GuardedStore, guarded, require_store
from persona_share.stores.base import LARGEST_STORED, TIMEOUT, BaseStore
from persona_share.stores.memory import MemoryStore
from persona_share.testing import FakeClock, fake_runtime


KEY = "scope/5d41402abc4b2a76b9719d911017c592"
FOUND = Versioned(b"value", "etag", 1.0)


class ScriptedStore(BaseStore):
    """Does in each operation what a test says."""

    def __init__(self, runtime, do):
        super().__init__(runtime)
        self.do = do
        self.calls = 0

    async def _any(self):
        self.calls += 1
        return await self.do()

    async def _open(self):
        await self._any()

    async def _read(self, key):
        return await self._any()

    async def _write(self, key, value, etag, if_etag, ttl):
        return await self._any()

    async def _pages(self, prefix):
        yield await self._any()

    async def _aclose(self):
        await self._any()


async def listed(store):
    return [key async for key in store.keys("scope/")]


OPERATIONS = {
    "open": lambda store: store.open(),
    "read": lambda store: store.read(KEY),
    "write": lambda store: store.write(KEY, b"value", if_etag="", ttl=60),
    "keys": listed,
}
ERRORS = [
    OSError("CANARY"),
    PermissionError(13, "CANARY"),
    TimeoutError("CANARY"),
    ValueError("CANARY"),
    AttributeError("CANARY"),
    KeyError("CANARY"),
    RuntimeError("CANARY"),
    MemoryError("CANARY"),
    UnicodeDecodeError("utf-8", b"CANARY", 0, 1, "CANARY"),
    asyncio.CancelledError("CANARY"),
    ExceptionGroup("CANARY", [ValueError("CANARY")]),
    GeneratorExit("CANARY"),
    type("PanicError", (BaseException,), {})("CANARY"),  # as drivers in Rust raise
]


def raising(error):
    async def do():
        raise error

    return do


async def hang():
    await asyncio.get_running_loop().create_future()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def runtime(clock):
    return fake_runtime(clock)


async def run_iterations(number=10):
    for _ in range(number):
        await FakeClock().sleep(0)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.asyncio
async def test_any_error_becomes_a_store_error_without_its_text(
    runtime, operation, error
):
    store = ScriptedStore(runtime, raising(error))
    with pytest.raises(StoreUnavailableError) as caught:
        await OPERATIONS[operation](store)

    assert caught.value.__context__ is None
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("operation", ["read", "write", "keys"])
@pytest.mark.asyncio
async def test_refusal_after_opening_counts_as_unavailable(runtime, operation):
    store = ScriptedStore(runtime, raising(StoreRefusedError("others could read it")))
    with pytest.raises(StoreUnavailableError, match="others could read it"):
        await OPERATIONS[operation](store)


@pytest.mark.asyncio
async def test_refusal_while_opening_is_kept(runtime):
    store = ScriptedStore(runtime, raising(StoreRefusedError("others could read it")))
    with pytest.raises(StoreRefusedError):
        await store.open()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.asyncio
async def test_hang_ends_after_two_seconds(clock, runtime, operation):
    store = ScriptedStore(runtime, hang)
    task = asyncio.ensure_future(OPERATIONS[operation](store))
    await run_iterations()
    clock.advance(TIMEOUT - 0.1)
    await run_iterations()
    assert not task.done()
    clock.advance(0.1)
    with pytest.raises(StoreUnavailableError, match="did not respond"):
        await task


@pytest.mark.asyncio
async def test_queued_operations_fail_with_a_hanging_one(clock, runtime):
    store = ScriptedStore(runtime, hang)
    tasks = [asyncio.ensure_future(store.read(KEY)) for _ in range(100)]
    await run_iterations()
    clock.advance(TIMEOUT)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    store.do = lambda: asyncio.sleep(0, FOUND)  # noqa: TID251 - a turn, not a time
    found = await store.read(KEY)

    assert {type(each) for each in ended} == {StoreUnavailableError}
    assert store.calls < 50
    assert found == FOUND


@pytest.mark.asyncio
async def test_cancelled_caller_leaves_no_task(runtime):
    store = ScriptedStore(runtime, hang)
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(store.read(KEY))
    await run_iterations()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await run_iterations()

    assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_aclose_ends_although_an_operation_ignores_its_cancellation(
    clock, runtime
):
    released = asyncio.Event()

    async def stubborn():
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    store = ScriptedStore(runtime, stubborn)
    reading = asyncio.ensure_future(store.read(KEY))
    await run_iterations()
    closing = asyncio.ensure_future(store.aclose())
    for _ in range(5):
        await run_iterations()
        clock.advance(TIMEOUT)
    await closing
    with pytest.raises(StoreUnavailableError):
        await reading
    released.set()
    await run_iterations()


@pytest.mark.asyncio
async def test_operation_of_another_owner_ends_before_the_store_closes(runtime):
    order, goes_on = [], asyncio.Event()

    async def slow():
        await goes_on.wait()
        order.append("read")
        return FOUND

    class Closing(ScriptedStore):
        async def _aclose(self):
            order.append("closed")

    store = Closing(runtime, slow)
    reading = asyncio.ensure_future(store.read(KEY))
    await run_iterations()
    closing = asyncio.ensure_future(store.aclose())
    await run_iterations()
    goes_on.set()
    await closing

    assert await reading == FOUND
    assert order == ["read", "closed"]


class ConnectedStore(ScriptedStore):
    """A store whose operations use a connection, each for a few turns of the loop."""

    _concurrency = 2

    def __init__(self, runtime):
        super().__init__(runtime, self.use)
        self.open_ones, self.current, self.is_broken = set(), None, False

    async def use(self):
        if self.current is None:
            self.current = object()
            self.open_ones.add(self.current)
        used = self.current
        await run_iterations(5)
        if self.is_broken:  # it connects again
            self.is_broken = False
            return await self.use()
        assert used in self.open_ones
        return FOUND

    def _detach(self):
        used, self.current = self.current, None

        async def close():
            self.open_ones.discard(used)

        return close


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(1, 10))
async def test_operations_that_wait_for_their_turn_outlast_several_closes(
    runtime, turns
):
    store = ConnectedStore(runtime)
    reads = [asyncio.ensure_future(store.read(KEY)) for _ in range(8)]
    closes = []
    while not all(each.done() for each in reads):
        closes.append(asyncio.ensure_future(store.aclose()))
        await run_iterations(turns)
    assert await asyncio.gather(*reads) == [FOUND] * 8
    await asyncio.gather(*closes, store.aclose())
    assert not store.open_ones


@pytest.mark.asyncio
async def test_connection_that_is_made_anew_while_the_store_closes_is_closed(runtime):
    store = ConnectedStore(runtime)
    reading = asyncio.ensure_future(store.read(KEY))
    await run_iterations(2)
    closing = asyncio.ensure_future(store.aclose())
    await run_iterations(2)
    store.is_broken = True
    await asyncio.gather(reading, closing)
    assert not store.open_ones


@pytest.mark.asyncio
async def test_store_closes_when_its_last_operation_ends_in_that_moment(runtime):
    store = ScriptedStore(runtime, lambda: asyncio.sleep(0, FOUND))  # noqa: TID251
    for turns in range(8):
        reading = asyncio.ensure_future(store.read(KEY))
        await run_iterations(turns)
        await store.aclose()
        assert await reading == FOUND


@pytest.mark.asyncio
async def test_store_is_closed_when_its_caller_is_cancelled_several_times(runtime):
    closed = []

    class Closing(ScriptedStore):
        async def _aclose(self):
            await run_iterations()
            closed.append(True)

    closing = asyncio.ensure_future(Closing(runtime, hang).aclose())
    for _ in range(3):
        await run_iterations(1)
        closing.cancel()
    await run_iterations(20)
    assert closing.cancelled()
    assert closed == [True]


@pytest.mark.asyncio
async def test_store_that_refuses_to_open_closes_its_connections(runtime):
    closed = []

    class Closing(ScriptedStore):
        async def _aclose(self):
            closed.append(True)

    with pytest.raises(StoreRefusedError):
        await Closing(runtime, raising(StoreRefusedError("unsafe"))).open()
    assert closed == [True]


# ── Arguments ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "key",
    [
        *("", "scope", "scope/", "/name", "Scope/name", "scope/na me", "scope/a/b"),
        *("a/ü", "scope/" + "n" * 129, "k" * 33 + "/n", "scope/n\n", None, b"scope/n"),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "store", [MemoryStore(), ScriptedStore(None, hang)], ids=["memory", "base"]
)
@pytest.mark.asyncio
async def test_key_that_is_not_kind_and_name_is_refused(store, key):
    with pytest.raises(InvalidArgumentError, match="kind/name"):
        await store.read(key)
    with pytest.raises(InvalidArgumentError, match="kind/name"):
        await store.write(key, b"", if_etag="", ttl=60)


@pytest.mark.parametrize("ttl", [0, -1, math.nan, -math.inf, True], ids=repr)
@pytest.mark.parametrize(
    "store", [MemoryStore(), ScriptedStore(None, hang)], ids=["memory", "base"]
)
@pytest.mark.asyncio
async def test_invalid_ttl_is_refused(store, ttl):
    with pytest.raises(InvalidArgumentError, match="ttl"):
        await store.write(KEY, b"", if_etag="", ttl=ttl)


@pytest.mark.parametrize(
    "store", [MemoryStore(), ScriptedStore(None, hang)], ids=["memory", "base"]
)
@pytest.mark.asyncio
async def test_value_that_is_too_long_is_refused_before_it_is_written(store):
    with pytest.raises(InvalidArgumentError, match="the maximum is 262144"):
        await store.write(KEY, b"v" * (LARGEST_STORED + 1), if_etag="", ttl=60)


@pytest.mark.asyncio
async def test_invalid_prefix_is_refused(runtime):
    with pytest.raises(InvalidArgumentError, match="prefix"):
        await anext(ScriptedStore(runtime, hang).keys("*"))


# ── Another's store ─────────────────────────────────────────────────────────────────


class FixedResultStore(MemoryStore):
    """A store that returns the same value for every operation."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    async def read(self, key):
        return self.result

    async def write(self, key, value, *, if_etag, ttl):
        return self.result


@pytest.mark.parametrize(
    "result",
    [
        None,
        b"value",
        (b"value", "etag", 1.0),
        Versioned("text", "etag", 1.0),
        Versioned(b"value", None, 1.0),
        Versioned(b"value", "", 1.0),
        Versioned(None, "etag", 1.0),
        Versioned(b"value", "etag", math.nan),
        Versioned(b"value", "etag", 1_800_000_000_000),  # milliseconds
        Versioned(b"value", "etag", "now"),
    ],
    ids=lambda result: repr(
        attrs.astuple(result) if attrs.has(type(result)) else result
    ),
)
@pytest.mark.asyncio
async def test_reply_that_is_not_a_record_counts_as_unavailable(result):
    with pytest.raises(StoreUnavailableError):
        await GuardedStore(FixedResultStore(result)).read(KEY)


@pytest.mark.parametrize("key", [None, 1, b"scope/one", "code/one"], ids=repr)
@pytest.mark.asyncio
async def test_key_that_was_not_asked_for_counts_as_unavailable(key):
    class Listing(MemoryStore):
        async def keys(self, prefix):
            yield key

    with pytest.raises(StoreUnavailableError, match="not such a key"):
        await listed(guarded(Listing()))


@pytest.mark.parametrize("result", [None, 1, "written"], ids=repr)
@pytest.mark.asyncio
async def test_write_that_does_not_say_what_it_did_counts_as_unavailable(result):
    with pytest.raises(StoreUnavailableError):
        await GuardedStore(FixedResultStore(result)).write(KEY, b"", if_etag="", ttl=60)


def test_our_own_stores_are_not_wrapped_and_others_are(runtime):
    class Other:
        read = write = keys = open = aclose = None

    own = ScriptedStore(runtime, hang)

    assert guarded(own) is own
    assert isinstance(guarded(Other()), GuardedStore)
    assert repr(guarded(Other())) == "<Other>"
    assert isinstance(guarded(FixedResultStore(None)), GuardedStore)


@pytest.mark.parametrize("wrong", ["tokens.db", None, MemoryStore, {}, 7], ids=repr)
def test_value_that_is_not_a_store_is_refused_with_advice(wrong):
    with pytest.raises(ConfigurationError, match=r"a store is needed.*SQLiteStore"):
        require_store(wrong, secrets=True)


def test_store_in_clear_text_is_refused_for_secrets_only():
    store = MemoryStore()
    store.accepts_secrets = False

    assert require_store(store, secrets=False) is store
    with pytest.raises(StoreRefusedError, match=r"clear text.*Encrypted"):
        require_store(store, secrets=True)


def test_corrupt_record_is_a_kind_of_unavailable():
    assert issubclass(StoreCorruptError, StoreUnavailableError)


@pytest.mark.asyncio
async def test_expired_records_do_not_stay_in_memory():
    clock = FakeClock()
    store = MemoryStore(runtime=fake_runtime(clock))
    for number in range(400):
        await store.write(f"scope/{number}", b"value", if_etag="", ttl=1.0)
    clock.advance(2)
    for number in range(500):
        assert await store.write(f"kept/{number}", b"value", if_etag="", ttl=9.0)
    assert repr(store) == "<MemoryStore of 500 records>"


@pytest.mark.asyncio
@pytest.mark.parametrize("evicts", [True, False, None])
async def test_guard_says_whether_the_store_inside_evicts_records(evicts):
    class Inner(MemoryStore):
        async def read(self, key):
            return await super().read(key)

    async def respond():
        return evicts

    store = Inner()
    if evicts is not None:
        store.evicts = respond
    assert await guarded(store).evicts() is bool(evicts)
