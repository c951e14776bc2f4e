"""Every store keeps the contract."""

import pytest

from persona_share._stores_next.guarded import GuardedStore
from persona_share._stores_next.memory import MemoryStore
from persona_share.testing.store_contract_next import StoreContract


@pytest.mark.asyncio
class TestMemoryStore(StoreContract):
    def new_store(self):
        return MemoryStore(runtime=self.runtime)


@pytest.mark.asyncio
class TestGuardedStore(StoreContract):
    def new_store(self):
        return GuardedStore(MemoryStore(runtime=self.runtime), self.runtime)
