"""Every store keeps the contract, bare and encrypted."""

import itertools

import pytest

from persona_share.stores.access import GuardedStore
from persona_share.stores.base import LARGEST_VALUE
from persona_share.stores.encrypted import Encrypted
from persona_share.stores.memory import MemoryStore
from persona_share.stores.sqlite import SQLiteStore
from persona_share.testing.store_contract import StoreContract
from tests.stores.movable import (
    MovableRedisStore,
    movable_postgres_store,
    move_postgres,
    move_redis,
    prepare_postgres,
)


_NUMBERS = itertools.count(1)
KEYS = [b"\x01" * 32, b"\x02" * 32]


@pytest.fixture(scope="module")
def movable_postgres(one_postgres):
    """Return a server whose clock can be moved."""
    prepare_postgres(one_postgres)
    return one_postgres


@pytest.mark.asyncio
class TestMemoryStore(StoreContract):
    def new_store(self):
        return MemoryStore(runtime=self.runtime)


@pytest.mark.asyncio
class TestGuardedStore(StoreContract):
    def new_store(self):
        return GuardedStore(MemoryStore(runtime=self.runtime), self.runtime)


@pytest.mark.asyncio
class TestSQLiteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path):
        self.path = tmp_path / "records.db"

    def new_store(self):
        return SQLiteStore(self.path, runtime=self.runtime)

    def another(self, store):
        return SQLiteStore(self.path, runtime=self.runtime)


@pytest.mark.asyncio
class TestRedisStore(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, redis_server):
        self.server = redis_server

    def new_store(self):
        return MovableRedisStore(self.server.url)

    def another(self, store):
        return MovableRedisStore(self.server.url)

    async def advance(self, seconds):
        move_redis(self.server, seconds)


@pytest.mark.asyncio
class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def place(self, movable_postgres):
        self.server = movable_postgres
        self.table = f"table_{next(_NUMBERS)}"

    def new_store(self):
        return movable_postgres_store(self.server, table=self.table)

    def another(self, store):
        return self.new_store()

    async def advance(self, seconds):
        move_postgres(self.server, seconds)


class TestEncryptedMemoryStore(TestMemoryStore):
    largest = LARGEST_VALUE

    def new_store(self):
        return Encrypted(MemoryStore(runtime=self.runtime), KEYS, runtime=self.runtime)


class TestEncryptedSQLiteStore(TestSQLiteStore):
    largest = LARGEST_VALUE

    def new_store(self):
        return Encrypted(SQLiteStore(self.path, runtime=self.runtime), KEYS)

    def another(self, store):
        return self.new_store()
