"""What a store holds, seen by whoever looks after it."""

import pytest

from persona_share import Scope
from persona_share._policy.election import Carried
from persona_share._protocol.record import TokenRecord, token_blob
from persona_share.browsing import Browser
from persona_share.errors import StoreUnavailableError, UsageError
from persona_share.model.secret import Secret
from persona_share.stores import Encrypted, MemoryStore, RedisStore, SQLiteStore
from tests.redis_server import one_redis, redis_server


__all__ = ["one_redis", "redis_server"]

SCOPE = Scope.read("inq_1")
RECORD = TokenRecord(Secret("canary-token"), SCOPE, SCOPE, 3_599.0)
RING = [b"\x01" * 32]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request, tmp_path):
    match request.param:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SQLiteStore(tmp_path / "tokens.db")
        case _:
            server = request.getfixturevalue("redis_server")
            return RedisStore(server.url, plaintext=True)


async def filled(store):
    await store.adopt("first", remaining=3_000.0, blob=token_blob("first", RECORD))
    await store.elect("second", "owner", newer_than=0, at_least=0.0)
    await store.offer("second", Carried("id", 600.0, b"code"))


@pytest.mark.asyncio
async def test_what_is_held_is_shown_without_its_secret(store):
    async with Browser(store) as browser:
        await filled(store)
        first, second = await browser.list()

    assert (first.name, first.scope, first.generation) == ("first", SCOPE, 1)
    assert 2_990 < first.seconds <= 3_000
    assert (second.seconds, second.exchanging, second.codes) == (None, True, 1)
    assert "canary" not in repr(first)
    assert first.token.reveal() == "canary-token"


@pytest.mark.asyncio
async def test_looking_changes_nothing(store):
    async with Browser(store) as browser:
        await filled(store)
        before = await browser.list()
        after = await browser.list()
        token = await store.elect("first", "owner", newer_than=0, at_least=0.0)

    assert [each.generation for each in before] == [each.generation for each in after]
    assert token.generation == 1


@pytest.mark.asyncio
async def test_what_is_dropped_is_gone(store):
    async with Browser(store) as browser:
        await filled(store)
        await browser.drop("first")
        left = [each for each in await browser.list() if each.seconds is not None]

    assert left == []


@pytest.mark.asyncio
async def test_a_revoked_token_is_not_shown(store):
    async with Browser(store) as browser:
        await filled(store)
        await store.invalidate("first", 1)
        shown = {each.name: each.seconds for each in await browser.list()}

    assert shown.get("first") is None


@pytest.mark.asyncio
async def test_what_is_sealed_shows_when_it_ends_and_no_more(store):
    sealed = Encrypted(store, keys=RING)
    async with Browser(sealed) as browser:
        await sealed.adopt("key", remaining=3_000.0, blob=token_blob("key", RECORD))
        [opened] = await browser.list()
        [closed] = await Browser(store).list()

    assert (opened.scope, opened.sealed) == (SCOPE, False)
    assert (closed.scope, closed.sealed, closed.token) == (None, True, None)
    assert closed.seconds > 2_990


@pytest.mark.asyncio
async def test_a_store_that_cannot_be_listed_says_so():
    class Opaque:
        async def open(self, runtime):
            pass

        async def close(self):
            pass

    async with Browser(Encrypted(Opaque(), keys=RING)) as browser:
        with pytest.raises(UsageError, match="listed"):
            await browser.list()


@pytest.mark.asyncio
async def test_a_redis_that_is_away_is_told_as_that(redis_server):
    store = RedisStore(redis_server.url, plaintext=True)
    async with Browser(store) as browser:
        redis_server.freeze()
        try:
            with pytest.raises(StoreUnavailableError):
                await browser.list()
        finally:
            redis_server.thaw()
