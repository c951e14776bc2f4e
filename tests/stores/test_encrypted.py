"""Encrypted: what a store gets, and what happens when keys are rotated."""

import asyncio
import base64

import pytest

from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    StoreCorruptError,
    StoreRefusedError,
)
from persona_share.model.secret import Secret
from persona_share.ports import Versioned
from persona_share.stores.base import BaseStore
from persona_share.stores.encrypted import Encrypted
from persona_share.stores.memory import MemoryStore
from persona_share.stores.redis import RedisStore
from persona_share.testing import FakeClock, fake_runtime


KEY = "scope/5d41402abc4b2a76b9719d911017c592"
OLD, NEW = b"\xfb" * 32, b"\xff\xfe" * 16


async def create(store, value=b"value", *, key=KEY):
    return await store.write(key, value, if_etag="", ttl=60)


async def replace(store, value):
    found = await store.read(KEY)
    return await store.write(KEY, value, if_etag=found.etag, ttl=60)


@pytest.mark.asyncio
async def test_store_sees_the_key_and_nothing_else():
    inner = MemoryStore()
    await create(Encrypted(inner, [OLD]), b"CANARY" * 10)
    stored = (await inner.read(KEY)).value

    assert b"CANARY" not in stored
    assert [key async for key in inner.keys("")] == [KEY]


@pytest.mark.asyncio
async def test_same_value_is_sealed_differently_each_time():
    inner = MemoryStore()
    store = Encrypted(inner, [OLD])
    await create(store, key="scope/one")
    await create(store, key="scope/two")
    values = {(await inner.read(f"scope/{name}")).value for name in ("one", "two")}

    assert len(values) == 2


@pytest.mark.parametrize("order", [[OLD, NEW], [NEW, OLD]], ids=["add", "move"])
@pytest.mark.asyncio
async def test_processes_of_a_rolling_restart_read_one_another(order):
    inner = MemoryStore()
    before, after = Encrypted(inner, [OLD, NEW]), Encrypted(inner, order)
    await create(before, b"one")
    assert (await after.read(KEY)).value == b"one"
    assert await replace(after, b"two")
    assert (await before.read(KEY)).value == b"two"


@pytest.mark.asyncio
async def test_record_of_an_unknown_key_is_not_absent_and_never_overwritten():
    inner = MemoryStore()
    old, new = Encrypted(inner, [OLD]), Encrypted(inner, [NEW])
    await create(new, b"new")
    with pytest.raises(StoreCorruptError, match="not among the keys here"):
        await old.read(KEY)
    assert await create(old, b"old") is False
    assert (await new.read(KEY)).value == b"new"


@pytest.mark.asyncio
async def test_f105_altered_truncated_or_moved_record_does_not_open():
    inner = MemoryStore()
    store = Encrypted(inner, [OLD])
    await create(store, key="scope/one")
    sealed = (await inner.read("scope/one")).value
    altered = [
        bytes([*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]])
        for place in range(len(sealed))
    ]
    for value in [sealed, b"", sealed[:5], sealed[:20], sealed[:-1], *altered]:
        etag = (await inner.read("scope/two")).etag
        await inner.write("scope/two", value, if_etag=etag, ttl=60)
        with pytest.raises(StoreCorruptError):
            await store.read("scope/two")


SPELLINGS = {
    "raw": OLD,
    "hex": OLD.hex(),
    "upper-case hex": OLD.hex().upper(),
    "line of hex": f"{OLD.hex()}\n",
    "bytes of hex": OLD.hex().encode(),
    "base64": base64.b64encode(OLD).decode(),
    "bytes of base64": base64.b64encode(OLD),
    "url-safe": base64.urlsafe_b64encode(OLD).decode(),
    "unpadded": base64.urlsafe_b64encode(OLD).decode().rstrip("="),
    "secret hex": Secret(OLD.hex()),
    "secret base64": Secret(base64.b64encode(OLD).decode()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.asyncio
async def test_key_is_taken_raw_and_in_base64_and_in_hex(spelling):
    inner = MemoryStore()
    await create(Encrypted(inner, [OLD]))

    assert (await Encrypted(inner, [SPELLINGS[spelling]]).read(KEY)).value == b"value"


def test_single_key_need_not_be_in_a_list():
    assert repr(Encrypted(MemoryStore(), OLD)).startswith("<Encrypted <MemoryStore")


@pytest.mark.parametrize(
    "wrong",
    [b"short", "short", "", OLD.hex()[:-2], b"\xff" * 33, None, 7, Secret("CANARY")],
    ids=repr,
)
def test_invalid_key_is_refused_and_not_shown(wrong):
    with pytest.raises(ConfigurationError, match="32 random bytes") as caught:
        Encrypted(MemoryStore(), [wrong])
    assert "CANARY" not in str(caught.value)


def test_no_key_at_all_is_refused():
    with pytest.raises(ConfigurationError, match="at least one key"):
        Encrypted(MemoryStore(), [])


def test_value_that_is_not_a_store_is_refused():
    with pytest.raises(ConfigurationError, match="a store is needed"):
        Encrypted("tokens.db", [OLD])


def test_encrypted_store_accepts_secrets_for_any_store():
    inner = RedisStore("redis://localhost")

    assert inner.accepts_secrets is False
    assert Encrypted(inner, [OLD]).accepts_secrets is True


@pytest.mark.asyncio
async def test_too_long_value_is_refused_before_it_is_sealed():
    with pytest.raises(InvalidArgumentError):
        await create(Encrypted(MemoryStore(), [OLD]), b"v" * (256 * 1024 + 1))


def test_no_frame_of_a_refusal_shows_a_key():
    try:
        Encrypted(MemoryStore(), [OLD, b"CANARY"])
    except ConfigurationError as error:
        frame, shown = error.__traceback__.tb_next, []
        while frame is not None:
            shown.append(repr(frame.tb_frame.f_locals))
            frame = frame.tb_next
    assert "CANARY" not in "".join(shown)


@pytest.mark.asyncio
async def test_operations_that_wait_for_their_turn_are_not_timed_out():
    clock = FakeClock()
    runtime = fake_runtime(clock)

    class Slow(BaseStore):
        _concurrency = 1

        async def _read(self, key):
            await clock.sleep(1.5)
            return Versioned(None, "", clock.now())

        _open = _write = _pages = _aclose = None

    store = Encrypted(Slow(runtime), [OLD], runtime=runtime)
    tasks = [asyncio.ensure_future(store.read(KEY)) for _ in range(4)]
    for _ in range(4):
        for _ in range(10):
            await clock.sleep(0)
        clock.advance(1.5)
    found = await asyncio.gather(*tasks)

    assert [each.value for each in found] == [None] * 4


@pytest.mark.asyncio
async def test_refusal_of_the_inner_store_is_kept():
    class Refusing(MemoryStore):
        async def open(self):
            raise StoreRefusedError("others could read it")

    with pytest.raises(StoreRefusedError):
        await Encrypted(Refusing(), [OLD]).open()
