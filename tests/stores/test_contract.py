"""Every store keeps the contract, bare and encrypted."""

import pytest

from persona_share.stores import Encrypted, MemoryStore, SQLiteStore
from persona_share.testing.store_contract import StoreContract
from tests.stores.movable import movable_store, move


RING = [b"\x01" * 32, b"\x02" * 32]


@pytest.mark.asyncio
class TestMemoryStore(StoreContract):
    def new_store(self):
        return MemoryStore()


@pytest.mark.asyncio
class TestSQLiteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "tokens.db"

    def new_store(self):
        return SQLiteStore(self.path)

    def another(self, store):
        return SQLiteStore(self.path)


@pytest.mark.asyncio
class TestRedisStore(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, redis_server):
        self.server = redis_server

    def new_store(self):
        return movable_store(self.server, plaintext=True)

    def another(self, store):
        return movable_store(self.server, plaintext=True)

    async def passes(self, seconds):
        self.clock.advance(seconds)
        move(self.server, seconds)


class TestEncryptedMemoryStore(TestMemoryStore):
    def new_store(self):
        return Encrypted(MemoryStore(), keys=RING)


class TestEncryptedSQLiteStore(TestSQLiteStore):
    def new_store(self):
        return Encrypted(SQLiteStore(self.path), keys=RING)

    def another(self, store):
        return Encrypted(SQLiteStore(self.path), keys=RING)


class TestEncryptedRedisStore(TestRedisStore):
    def new_store(self):
        return Encrypted(movable_store(self.server), keys=RING)

    def another(self, store):
        return Encrypted(movable_store(self.server), keys=RING)
