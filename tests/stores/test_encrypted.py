"""Sealed records: nobody reads, moves, lengthens or brings them back."""

import asyncio
import logging
import secrets

import attrs
import pytest

from persona_share._policy.election import Carried, Follow, Held, Lead
from persona_share._protocol.stored import Record
from persona_share.errors import ConfigurationError, StoreUnavailableError
from persona_share.stores import Encrypted, MemoryStore, SQLiteStore
from persona_share.testing import FakeClock, fake_runtime


OLD, NEW, OTHER = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
TOKEN, CODE, ID = b"CANARY-token", b"CANARY-code", "CANARY-id"


@pytest.fixture
def memory():
    return MemoryStore()


async def opened(store, *keys, names=None):
    sealed = Encrypted(store, keys=keys or [OLD], names=names)
    await sealed.open(fake_runtime())
    return sealed


async def elect(store, key="key", owner="a", newer_than=0):
    return await store.elect(key, owner, newer_than=newer_than, at_least=0.0)


async def minted(store, key="key"):
    leader = await elect(store, key)
    await store.publish(key, "a", leader.fence, remaining=3_599.0, blob=TOKEN)
    return leader.fence


def change(memory, **fields):
    """Change the only record of a store, as somebody with access to it may."""
    ((name, (record, *rest)),) = memory._records.items()
    memory._records[name] = attrs.evolve(record, **fields), *rest


def record(memory) -> Record:
    ((_, (found, *_)),) = memory._records.items()
    return found


@pytest.mark.parametrize("keys", [[], [b"short"]])
def test_a_ring_needs_a_key_of_the_right_size(memory, keys):
    with pytest.raises(ConfigurationError):
        Encrypted(memory, keys=keys)


@pytest.mark.asyncio
async def test_the_store_sees_neither_names_nor_ids_nor_what_is_kept(memory):
    store = await opened(memory)
    await store.offer("CANARY-scope", Carried(ID, 600.0, CODE))
    leader = await elect(store, "CANARY-scope")
    await store.attach("CANARY-scope", "a", leader.fence, Carried(ID, 600.0, CODE))
    seen = repr(memory._records) + str(
        [(each.blob, each.id) for each in record(memory).queue]
    )
    await store.publish("CANARY-scope", "a", leader.fence, remaining=9.0, blob=TOKEN)
    seen += str(record(memory).token.blob)

    assert "CANARY" not in seen


@pytest.mark.asyncio
async def test_no_two_sealed_texts_are_alike(memory):
    store = Encrypted(memory, keys=[OLD])
    await store.open(attrs.evolve(fake_runtime(), new_bytes=secrets.token_bytes))
    seen = set()
    for _ in range(50):
        await store.adopt("key", remaining=60.0, blob=TOKEN)
        seen.add(record(memory).token.blob)
        await store.forget("key")

    assert len(seen) == 50


@pytest.mark.asyncio
async def test_f105_after_a_renewal_of_keys_the_old_one_still_opens(memory):
    fence = await minted(await opened(memory, OLD))
    both = await opened(memory, NEW, OLD)
    found = await elect(both)
    await both.invalidate("key", fence)
    await minted(both)
    answer = await elect(await opened(memory, OLD))

    assert found == Held(fence, 3_599.0, TOKEN)
    assert isinstance(answer, Lead)  # what the new key sealed, the old one never opens


@pytest.mark.asyncio
async def test_names_of_their_own_outlive_every_key(memory):
    fence = await minted(await opened(memory, OLD, names=OTHER))
    found = await elect(await opened(memory, OLD, NEW, names=OTHER))

    assert found == Held(fence, 3_599.0, TOKEN)


@pytest.mark.asyncio
async def test_f105_with_a_wrong_key_there_is_nothing_and_no_error(memory):
    await minted(await opened(memory, OLD))
    answer = await elect(await opened(memory, OTHER))

    assert answer == Lead(1, None)


@pytest.mark.asyncio
async def test_f105_a_flipped_bit_is_a_miss_that_is_told_once(memory, caplog):
    store = await opened(memory)
    fence = await minted(store)
    found = record(memory).token
    for place in range(len(found.blob)):
        torn = bytearray(found.blob)
        torn[place] ^= 1
        change(memory, token=attrs.evolve(found, blob=bytes(torn)), leader=None)
        answer = await elect(store)
        assert isinstance(answer, Lead)
        assert answer.fence > fence

    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert "CANARY" not in told.getMessage()


@pytest.mark.asyncio
async def test_t13_two_swapped_tokens_are_two_misses(memory):
    store = await opened(memory)
    for key in ("one", "other"):
        await minted(store, key)
    (one, first), (other, second) = memory._records.items()
    memory._records.update({one: second, other: first})

    for key in ("one", "other"):
        assert isinstance(await elect(store, key), Lead)


@pytest.mark.asyncio
async def test_t13_an_older_token_does_not_come_back_as_a_newer_one(memory):
    store = await opened(memory)
    await minted(store)
    old = record(memory).token
    leader = await elect(store, newer_than=1)
    await store.publish("key", "a", leader.fence, remaining=3_599.0, blob=b"newer")
    change(memory, token=attrs.evolve(record(memory).token, blob=old.blob))

    assert isinstance(await elect(store), Lead)


@pytest.mark.asyncio
async def test_t13_the_engine_may_shorten_a_token_and_never_lengthen_it(memory):
    store = await opened(memory)
    await minted(store)
    found = record(memory).token
    later = attrs.evolve(found, ends=found.ends + 9_999, lifetime=99_999.0)
    change(memory, token=later)
    longer = await elect(store)
    change(memory, token=attrs.evolve(found, ends=found.ends - 3_000))
    shorter = await elect(store)

    assert longer.remaining == 3_599.0
    assert shorter.remaining == 599.0


@pytest.mark.asyncio
async def test_t13_a_code_is_not_found_as_a_token_nor_under_another_id(memory):
    store = await opened(memory)
    leader = await elect(store)
    await store.attach("key", "a", leader.fence, Carried(ID, 600.0, CODE))
    ticket = record(memory).ticket
    change(memory, ticket=attrs.evolve(ticket, id="another"), leader=None)
    heir = await elect(store, owner="b")

    assert heir.ticket is None


@pytest.mark.asyncio
async def test_a_code_that_cannot_be_opened_stands_in_nobodys_way(memory):
    store = await opened(memory)
    leader = await elect(store)
    await store.attach("key", "a", leader.fence, Carried(ID, 600.0, CODE))
    broken = attrs.evolve(record(memory).ticket, blob=b"rubbish")
    change(memory, ticket=broken, leader=None)
    heir = await elect(store, owner="b")
    mine = Carried("mine", 600.0, CODE)
    used = await store.attach("key", "b", heir.fence, mine)

    assert isinstance(heir, Lead)
    assert heir.ticket is None
    assert used == mine
    assert isinstance(await elect(store, owner="c"), Follow)


@pytest.mark.asyncio
async def test_codes_that_cannot_be_opened_are_passed_over(memory):
    store = await opened(memory)
    for number in range(3):
        await store.offer("key", Carried(f"{number}", 100.0 + number, CODE))
    first, second, third = record(memory).queue
    broken = [attrs.evolve(each, blob=b"rubbish") for each in (first, second)]
    change(memory, queue=(*broken, third))

    taken = await store.take("key")
    assert (taken.id, taken.blob) == ("2", CODE)
    assert await store.take("key") is None


@pytest.mark.asyncio
async def test_a_taken_code_has_the_id_that_it_was_offered_with(memory):
    store = await opened(memory)
    await store.offer("key", Carried(ID, 600.0, CODE, 1, 2.0))

    assert await store.take("key") == Carried(ID, 600.0, CODE, 1, 2.0)


@pytest.mark.asyncio
async def test_f105_a_file_holds_no_canary(tmp_path):
    path = tmp_path / "tokens.db"
    store = Encrypted(SQLiteStore(path), keys=[OLD])
    await store.open(fake_runtime(FakeClock()))
    await store.offer("CANARY-scope", Carried(ID, 600.0, CODE))
    leader = await elect(store, "CANARY-scope")
    ticket = await store.take("CANARY-scope")
    await store.attach("CANARY-scope", "a", leader.fence, ticket)
    during = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    await store.publish("CANARY-scope", "a", leader.fence, remaining=60.0, blob=TOKEN)
    await store.close()
    after = b"".join(each.read_bytes() for each in tmp_path.iterdir())

    assert b"CANARY" not in during
    assert b"CANARY" not in after


@pytest.mark.asyncio
async def test_nothing_that_is_gone_stays_in_a_bare_file(tmp_path):
    path = tmp_path / "tokens.db"
    store = SQLiteStore(path)
    await store.open(fake_runtime(FakeClock()))
    blob = secrets.token_bytes(300)
    await store.adopt("key", remaining=60.0, blob=blob)
    held = path.read_bytes()
    await store.forget("key")
    await store.close()
    left = b"".join(each.read_bytes() for each in tmp_path.iterdir())

    from base64 import b64encode  # noqa: PLC0415

    assert b64encode(blob)[:100] in held
    assert b64encode(blob)[:100] not in left


class Stubborn(MemoryStore):
    """A store that gives the same broken code whatever is done."""

    async def elect(self, key, owner, *, newer_than, at_least):
        return Lead(1, Carried("id", 600.0, b"rubbish"))


@pytest.mark.asyncio
async def test_a_store_that_goes_on_giving_rubbish_is_given_up():
    store = await opened(Stubborn())
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        await elect(store)


@pytest.mark.asyncio
async def test_f105_with_the_same_names_a_wrong_key_passes_over_all(memory, caplog):
    right = await opened(memory, OLD, names=OTHER)
    fence = await minted(right)
    await right.offer("key", Carried(ID, 600.0, CODE))
    wrong = await opened(memory, NEW, names=OTHER)

    assert await elect(wrong) == Lead(fence + 1, None)
    assert await wrong.take("key") is None
    assert {each.getMessage()[:7] for each in caplog.records} == {"a token", "a code "}


@pytest.mark.asyncio
async def test_unopened_it_seals_nothing(memory):
    with pytest.raises(RuntimeError, match="not opened"):
        await Encrypted(memory, keys=[OLD]).adopt("key", remaining=1.0, blob=TOKEN)
    await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
