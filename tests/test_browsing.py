"""Browser: the records of a store, without secrets."""

import pytest

from persona_share import Scope
from persona_share._tokens import record as records
from persona_share._tokens.record import (
    ScopeRecord,
    StoredCode,
    StoredToken,
    fingerprint,
)
from persona_share.browsing import Browser
from persona_share.errors import StoreUnavailableError
from persona_share.model.secret import Secret
from persona_share.stores import Encrypted, MemoryStore, RedisStore, SQLiteStore
from tests.redis_server import one_redis, redis_server


__all__ = ["one_redis", "redis_server"]

SCOPE = Scope.read("inq_1")
SECRET = Secret("canary-token")
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


async def put(store, name, record_at):
    """Write the record of one scope, made for the store's time."""
    key = f"scope/{name}"
    found = await store.read(key)
    value = records.encode(key, record_at(found.now))
    assert await store.write(key, value, if_etag=found.etag, ttl=3_600.0)


def with_token(now):
    token = StoredToken(
        fingerprint(SECRET), SECRET, SCOPE.text, "", now + 3_000, 3_599.0, now
    )
    return ScopeRecord(token=token)


def with_code(now):
    code = StoredCode("id", Secret("code"), now, now + 600)
    record = records.offer(ScopeRecord(), now, code, records.CodeState.NEW)
    return records.acquire(record, now, "owner", records.Wish())


async def filled(store):
    await put(store, "first", with_token)
    await put(store, "second", with_code)


@pytest.mark.asyncio
async def test_tokens_are_shown_without_their_secret(store):
    async with Browser(store) as browser:
        await filled(store)
        first, second = await browser.list()

    assert (first.name, first.scope) == ("first", SCOPE)
    assert 2_990 < first.seconds <= 3_000
    assert (second.seconds, second.exchanging, second.codes) == (None, True, 1)
    assert "canary" not in repr(first)
    assert first.token.reveal() == "canary-token"


@pytest.mark.asyncio
async def test_listing_changes_nothing(store):
    async with Browser(store) as browser:
        await filled(store)
        before = await store.read("scope/first")
        await browser.list()
        after = await store.read("scope/first")

    assert (before.value, before.etag) == (after.value, after.etag)


@pytest.mark.asyncio
async def test_dropping_a_token_keeps_a_pending_code(store):
    async with Browser(store) as browser:
        await filled(store)
        await browser.drop("first")
        await browser.drop("second")
        [left] = await browser.list()

    assert (left.name, left.codes, left.exchanging) == ("second", 1, True)


@pytest.mark.asyncio
async def test_sealed_record_is_shown_only_as_sealed(store):
    sealed = Encrypted(store, keys=RING)
    async with Browser(sealed) as browser:
        await put(sealed, "name", with_token)
        [opened] = await browser.list()
        [closed] = await Browser(store).list()

    assert (opened.scope, opened.sealed) == (SCOPE, False)
    assert (closed.scope, closed.sealed, closed.token) == (None, True, None)


@pytest.mark.asyncio
async def test_dropping_ends_when_the_store_refuses_every_change():
    class Stale(MemoryStore):
        async def write(self, key, value, *, if_etag, ttl):
            return False

    store = Stale()
    await put(super(Stale, store), "name", with_token)
    async with Browser(store) as browser:
        with pytest.raises(StoreUnavailableError, match="too many processes"):
            await browser.drop("name")


@pytest.mark.asyncio
async def test_unreachable_redis_is_reported(redis_server):
    store = RedisStore(redis_server.url, plaintext=True)
    async with Browser(store) as browser:
        redis_server.freeze()
        try:
            with pytest.raises(StoreUnavailableError):
                await browser.list()
        finally:
            redis_server.thaw()
