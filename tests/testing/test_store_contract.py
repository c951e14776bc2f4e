"""The contract finds stores that a manager could not use."""

import decimal

import attrs
import pytest

from persona_share.errors import StoreUnavailableError
from persona_share.stores import MemoryStore
from persona_share.testing.store_contract import StoreContract


class ViewStore(MemoryStore):
    """Returns a value that is only equal to the bytes, as some drivers do."""

    async def read(self, key):
        found = await super().read(key)
        value = None if found.value is None else memoryview(found.value)
        return attrs.evolve(found, value=value)


class DecimalStore(MemoryStore):
    """Returns its time as a number that is no float."""

    async def read(self, key):
        found = await super().read(key)
        return attrs.evolve(found, now=decimal.Decimal(found.now))


class OnceStore(MemoryStore):
    """Works until it is closed for the first time."""

    is_closed = False

    async def aclose(self):
        self.is_closed = True

    async def read(self, key):
        if self.is_closed:
            raise StoreUnavailableError("closed")
        return await super().read(key)


class LeakingStore(MemoryStore):
    """Loses a connection with each operation that is cancelled."""

    connections = 3

    async def write(self, *args, **options):
        if not self.connections:
            raise StoreUnavailableError("no connection is left")
        self.connections -= 1
        await self._runtime.clock.sleep(0)
        written = await super().write(*args, **options)
        self.connections += 1
        return written


WRONG = {
    ViewStore: "test_written_value_is_read_by_both_stores",
    DecimalStore: "test_written_value_is_read_by_both_stores",
    OnceStore: "test_closed_store_works_again_as_another_manager_may_use_it",
    LeakingStore: "test_cancelled_operations_prevent_no_later_one",
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.asyncio
async def test_store_that_a_manager_could_not_use_fails(kind):
    class Contract(StoreContract):
        def new_store(self):
            return kind(runtime=self.runtime)

    contract = Contract()
    contract.setup_method()
    with pytest.raises((AssertionError, StoreUnavailableError)):
        await getattr(contract, WRONG[kind])()
