"""The contract of a store, as a class of tests.

For your own stores, with pytest with pytest-asyncio or with anyio's plugin::

    @pytest.mark.asyncio
    class TestMyStore(StoreContract):
        def new_store(self):
            return MyStore(...)

The protocol is `persona_share.stores.Store`. pytest is not needed to import this.
"""

import asyncio
import math
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from persona_share.ports import Runtime, Store, Versioned
from persona_share.stores.base import LARGEST_STORED
from persona_share.testing.clock import FakeClock, fake_runtime


#: An example of a key: a kind, and a name that reveals nothing.
KEY: Final = "scope/5d41402abc4b2a76b9719d911017c592"
OTHER_KEY: Final = "code/7d793037a0760186574b0282f2f435e7"
#: Values are any bytes, because encrypted records are not text.
VALUE: Final = bytes(range(256))
#: The tolerance for rounded times, in seconds.
CLOSE: Final = 0.5


class StoreContract:
    """Tests of one store; a subclass makes the store in `new_store`.

    Override `another` if several instances can share records, and `advance` if the store
    does not use the clock of `runtime`.
    """

    #: The number of tasks that race for a record; choose fewer for a slow store.
    racers: int = 20
    #: The largest value that the store must accept, in bytes.
    largest: int = LARGEST_STORED

    @abstractmethod
    def new_store(self) -> Store:
        """Return a new, empty store that is not open yet."""

    def another(self, store: Store) -> Store:
        """Return another store with the same records, or the same store."""
        return store

    async def advance(self, seconds: float) -> None:
        """Let time pass for the store."""
        self.clock.advance(seconds)

    def setup_method(self) -> None:
        """Create the clock and the runtime, which a store may use."""
        self.clock: FakeClock = FakeClock()
        self.runtime: Runtime = fake_runtime(self.clock)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """Open a new store, and close it when the block ends."""
        store = self.new_store()
        await store.open()
        try:
            yield store
        finally:
            await store.aclose()

    @asynccontextmanager
    async def two(self) -> AsyncIterator[tuple[Store, Store]]:
        """Open two stores with the same records."""
        async with self.opened() as store:
            other = self.another(store)
            await other.open()
            try:
                yield store, other
            finally:
                if other is not store:
                    await other.aclose()

    # ── Reading and writing ─────────────────────────────────────────────────────────

    async def test_absent_record_has_no_value_and_an_empty_etag(self) -> None:
        async with self.opened() as store:
            found = await store.read(KEY)

        assert isinstance(found, Versioned)
        assert (found.value, found.etag) == (None, "")
        assert math.isfinite(found.now)

    async def test_written_value_is_read_by_both_stores(self) -> None:
        async with self.two() as (store, other):
            assert await create(store) is True
            first, second = await store.read(KEY), await other.read(KEY)

        assert first.value == second.value == VALUE
        assert first.etag == second.etag != ""
        # A memoryview or a Decimal that is equal is not accepted.
        assert isinstance(first.value, bytes)
        assert isinstance(first.etag, str)
        assert isinstance(first.now, int | float)

    async def test_empty_value_is_a_record(self) -> None:
        async with self.opened() as store:
            await create(store, b"")
            found = await store.read(KEY)
            again = await create(store, b"other")

        assert found.value == b""
        assert found.etag
        assert again is False

    async def test_largest_value_is_kept(self) -> None:
        largest = VALUE * (self.largest // len(VALUE))
        async with self.opened() as store:
            await create(store, largest)
            found = await store.read(KEY)

        assert found.value == largest

    async def test_keys_are_independent(self) -> None:
        async with self.opened() as store:
            await create(store)
            other = await store.read(OTHER_KEY)

        assert other.value is None

    async def test_open_twice_and_close_twice_does_no_harm(self) -> None:
        async with self.opened() as store:
            await store.open()
            await create(store)
            found = await store.read(KEY)
            await store.aclose()

        assert found.value == VALUE

    async def test_closed_store_works_again_as_another_manager_may_use_it(self) -> None:
        async with self.opened() as store:
            await create(store)
            await store.aclose()
            found = await store.read(KEY)
            written = await create(store, key=OTHER_KEY)

        assert found.value == VALUE
        assert written is True

    # ── Compare and swap ────────────────────────────────────────────────────────────

    async def test_record_is_created_only_if_absent(self) -> None:
        async with self.two() as (store, other):
            first = await create(store, b"first")
            second = await create(other, b"second")
            found = await store.read(KEY)

        assert (first, second, found.value) == (True, False, b"first")

    async def test_record_is_replaced_if_it_is_unchanged(self) -> None:
        async with self.two() as (store, other):
            await create(store)
            etag = (await other.read(KEY)).etag
            written = await other.write(KEY, b"new", if_etag=etag, ttl=60)
            found = await store.read(KEY)

        assert written is True
        assert found.value == b"new"
        assert found.etag not in {"", etag}

    async def test_record_is_not_replaced_if_it_has_changed(self) -> None:
        async with self.two() as (store, other):
            await create(store)
            etag = (await store.read(KEY)).etag
            await other.write(KEY, b"theirs", if_etag=etag, ttl=60)
            written = await store.write(KEY, b"ours", if_etag=etag, ttl=60)
            found = await store.read(KEY)

        assert written is False
        assert found.value == b"theirs"

    async def test_absent_record_is_not_replaced(self) -> None:
        async with self.opened() as store:
            await create(store)
            etag = (await store.read(KEY)).etag
            await store.write(KEY, None, if_etag=etag, ttl=60)
            written = await store.write(KEY, VALUE, if_etag=etag, ttl=60)
            found = await store.read(KEY)

        assert written is False
        assert found.value is None

    async def test_etag_is_new_even_if_the_value_is_the_same(self) -> None:
        etags = []
        async with self.opened() as store:
            for _ in range(5):
                found = await store.read(KEY)
                etags.append(found.etag)
                assert await store.write(KEY, VALUE, if_etag=found.etag, ttl=60)

        assert len(set(etags)) == len(etags)

    async def test_etag_does_not_come_back_after_a_deletion(self) -> None:
        async with self.opened() as store:
            await create(store)
            first = (await store.read(KEY)).etag
            await store.write(KEY, None, if_etag=first, ttl=60)
            await create(store)
            second = (await store.read(KEY)).etag

        assert first != second

    async def test_one_of_many_wins_when_all_create_a_record(self) -> None:
        async with self.two() as stores:
            writes = [
                create(stores[number % 2], b"%d" % number)
                for number in range(self.racers)
            ]
            won = await asyncio.gather(*writes)
            found = await stores[0].read(KEY)

        assert sum(won) == 1
        assert found.value == b"%d" % won.index(True)

    async def test_cancelled_operations_prevent_no_later_one(self) -> None:
        async with self.opened() as store, asyncio.timeout(60):
            for turns in range(self.racers):
                tasks = [asyncio.ensure_future(create(store)) for _ in range(3)]
                for _ in range(turns):
                    await self.clock.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            written = False
            while not written:  # an earlier write may end only now
                found = await store.read(KEY)
                written = await store.write(KEY, b"new", if_etag=found.etag, ttl=60)
            found = await store.read(KEY)

        assert found.value == b"new"

    async def test_no_change_is_lost_when_all_count(self) -> None:
        async def count(store: Store) -> None:
            while True:
                found = await store.read(KEY)
                value = b"%d" % (int(found.value or b"0") + 1)
                if await store.write(KEY, value, if_etag=found.etag, ttl=60):
                    return

        async with self.two() as stores:
            counting = [count(stores[number % 2]) for number in range(self.racers)]
            await asyncio.gather(*counting)
            found = await stores[1].read(KEY)

        assert found.value == b"%d" % self.racers

    # ── Deleting and expiring ───────────────────────────────────────────────────────

    async def test_deleted_record_is_absent(self) -> None:
        async with self.two() as (store, other):
            await create(store)
            etag = (await store.read(KEY)).etag
            deleted = await store.write(KEY, None, if_etag=etag, ttl=60)
            found = await other.read(KEY)

        assert deleted is True
        assert (found.value, found.etag) == (None, "")

    async def test_record_is_not_deleted_if_it_has_changed(self) -> None:
        async with self.opened() as store:
            await create(store)
            etag = (await store.read(KEY)).etag
            await store.write(KEY, b"new", if_etag=etag, ttl=60)
            deleted = await store.write(KEY, None, if_etag=etag, ttl=60)
            absent = await store.write(KEY, None, if_etag="", ttl=60)
            found = await store.read(KEY)

        assert (deleted, absent) == (False, False)
        assert found.value == b"new"

    async def test_record_expires_after_its_ttl(self) -> None:
        async with self.two() as (store, other):
            await create(store, ttl=60)
            await self.advance(60 - 2 * CLOSE)
            before = await other.read(KEY)
            await self.advance(3 * CLOSE)
            after = await other.read(KEY)

        assert before.value == VALUE
        assert (after.value, after.etag) == (None, "")

    async def test_expired_record_counts_as_absent_when_it_is_written(self) -> None:
        async with self.opened() as store:
            await create(store, ttl=60)
            etag = (await store.read(KEY)).etag
            await self.advance(61)
            replaced = await store.write(KEY, b"old", if_etag=etag, ttl=60)
            created = await create(store, b"new")
            found = await store.read(KEY)

        assert (replaced, created) == (False, True)
        assert found.value == b"new"

    async def test_each_write_replaces_the_ttl(self) -> None:
        async with self.opened() as store:
            await create(store, ttl=60)
            await self.advance(50)
            etag = (await store.read(KEY)).etag
            await store.write(KEY, b"new", if_etag=etag, ttl=60)
            await self.advance(50)
            found = await store.read(KEY)

        assert found.value == b"new"

    async def test_record_with_an_infinite_ttl_stays(self) -> None:
        async with self.opened() as store:
            await create(store, ttl=math.inf)
            await self.advance(10 * 365 * 86_400)
            found = await store.read(KEY)

        assert found.value == VALUE

    async def test_record_expires_within_a_second_when_its_ttl_is_tiny(self) -> None:
        async with self.opened() as store:
            written = await create(store, ttl=0.0001)
            await self.advance(1)
            found = await store.read(KEY)

        assert written is True
        assert found.value is None

    # ── Time and keys ───────────────────────────────────────────────────────────────

    async def test_clock_of_the_store_moves_with_time(self) -> None:
        async with self.two() as (store, other):
            before = await store.read(KEY)
            await self.advance(100)
            after = await other.read(KEY)

        assert 100 - CLOSE <= after.now - before.now <= 100 + 10

    async def test_clock_does_not_depend_on_whether_there_is_a_record(self) -> None:
        async with self.opened() as store:
            await create(store)
            present, absent = await store.read(KEY), await store.read(OTHER_KEY)

        assert abs(present.now - absent.now) < 10

    async def test_keys_are_listed_by_prefix(self) -> None:
        keys = {f"scope/{number:040x}" for number in range(40)}
        async with self.two() as (store, other):
            for key in sorted(keys):
                await store.write(key, VALUE, if_etag="", ttl=60)
            await create(store, key=OTHER_KEY)
            await create(store, key="scopes/0")
            found = [key async for key in other.keys("scope/")]
            everything = [key async for key in other.keys("")]

        assert len(found) == len(keys)
        assert set(found) == keys
        assert set(everything) == keys | {OTHER_KEY, "scopes/0"}

    async def test_deleted_and_expired_keys_are_not_listed(self) -> None:
        async with self.opened() as store:
            await create(store)
            await create(store, key=OTHER_KEY, ttl=10)
            etag = (await store.read(KEY)).etag
            await store.write(KEY, None, if_etag=etag, ttl=60)
            await self.advance(11)
            found = [key async for key in store.keys("")]

        assert found == []


async def create(
    store: Store, value: bytes = VALUE, *, key: str = KEY, ttl: float = 60
) -> bool:
    """Write a record that must be absent."""
    return await store.write(key, value, if_etag="", ttl=ttl)
