"""Stores that are down at first, come back, or come back with an older state."""

import attrs
import pytest

from persona_share import Scope
from persona_share.errors import AuthorizationCodeRequiredError, StoreUnavailableError
from persona_share.stores import MemoryStore


A = Scope.read("inq_1")
CODE = f"first.{A.text.encode().hex()}"


@attrs.define
class UnsteadyStore:
    """A store that can be down."""

    inner: MemoryStore
    down: bool = False
    opened: int = 0
    accepts_secrets = True

    def _respond(self):
        if self.down:
            raise OSError

    async def open(self):
        self._respond()
        self.opened += 1

    async def aclose(self):
        pass

    async def read(self, key):
        self._respond()
        return await self.inner.read(key)

    async def write(self, key, value, *, if_etag, ttl):
        self._respond()
        return await self.inner.write(key, value, if_etag=if_etag, ttl=ttl)

    def keys(self, prefix):
        return self.inner.keys(prefix)


@pytest.fixture
def store(harness):
    return UnsteadyStore(MemoryStore(runtime=harness.context.runtime))


@pytest.mark.asyncio
async def test_store_that_is_down_at_first_is_opened_when_it_responds(harness, store):
    store.down = True
    manager = await harness.manager(store=store)
    token = await harness.advance_until_done(manager.token(A))
    assert manager.metrics().store_up is False
    store.down = False
    await harness.advance_clock(5, step=0.5)
    assert manager.metrics().store_up
    assert store.opened == 1
    other = await harness.manager(store=store)
    assert await other.token(A) == token
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_of_an_outage_returns_its_scope_everywhere_afterwards(
    harness, store
):
    first, second = [await harness.manager(store=store, codes=None) for _ in range(2)]
    store.down = True
    assert await harness.advance_until_done(first.exchange(CODE)) == A
    store.down = False
    await harness.advance_clock(5, step=0.5)
    assert await harness.advance_until_done(second.exchange(CODE)) == A
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_code_that_was_offered_in_an_outage_is_used_by_another_manager(
    harness, store
):
    first, second = [await harness.manager(store=store, codes=None) for _ in range(2)]
    store.down = True
    await harness.advance_until_done(first.offer(CODE, A))
    store.down = False
    await harness.advance_clock(5, step=0.5)
    assert await harness.advance_until_done(second.token(A))


@pytest.mark.asyncio
async def test_code_that_a_strict_manager_refuses_in_an_outage_is_not_stored_later(
    harness, store
):
    manager = await harness.manager(store=store, on_store_failure="fail", codes=None)
    store.down = True
    with pytest.raises(StoreUnavailableError):
        await manager.offer(CODE, A)
    store.down = False
    await harness.advance_clock(5, step=0.5)
    assert manager.metrics().store_up
    with pytest.raises(AuthorizationCodeRequiredError):
        await manager.token(A)


@pytest.mark.asyncio
async def test_rejection_of_an_outage_reaches_the_fleet_afterwards(harness, store):
    first, second = [await harness.manager(store=store) for _ in range(2)]
    token = await first.token(A)
    await harness.settle()
    store.down = True
    first.invalidate(token)
    await harness.settle()
    store.down = False
    await harness.advance_clock(5, step=0.5)
    assert await harness.advance_until_done(second.token(A)) != token


@pytest.mark.asyncio
async def test_rejected_token_does_not_return_with_an_older_state_of_the_store(
    harness, store
):
    manager = await harness.manager(store=store)
    token = await manager.token(A)
    await harness.settle()
    keys = [key async for key in store.keys("")]
    saved = {key: (await store.read(key)).value for key in keys}
    manager.invalidate(token)
    await harness.settle()
    for key, value in saved.items():
        etag = (await store.read(key)).etag
        assert await store.write(key, value, if_etag=etag, ttl=3_600)
    new = await harness.advance_until_done(manager.token(A))
    assert new != token
    other = await harness.manager(store=store)
    assert await harness.advance_until_done(other.token(A)) == new
