"""A process that uses a store: what a test does to it happens to a real one.

``python -m tests.stores.worker MODE PLACE [WORD]``; a place is a path or a URL.
"""

import asyncio
import os
import sys

from persona_share.stores import PostgresStore, RedisStore, SQLiteStore


KEY = "scope/5d41402abc4b2a76b9719d911017c592"


def tell(*words):
    """Tell the test, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def store_at(place):
    """Return the store at a place."""
    if place.startswith("redis://"):
        return RedisStore(place)
    if place.startswith("postgresql://"):
        return PostgresStore(place, create=True)
    return SQLiteStore(place)


async def count(store, word):
    """Add one to a shared number, so many times, and tell when it is done."""
    tell("ready")
    sys.stdin.readline()
    left = int(word)
    while left:
        found = await store.read(KEY)
        value = b"%d" % (int(found.value or b"0") + 1)
        left -= await store.write(KEY, value, if_etag=found.etag, ttl=60)
    tell("done")


async def write(store, word):
    """Write one record after the other and tell each that was acknowledged."""
    number = int(word)
    while True:
        value = b"%d" % number
        if await store.write(f"scope/{number}", value, if_etag="", ttl=600):
            tell(number)
        number += 1


async def keep(store, key):
    """Write a record and read it back."""
    await store.open()
    assert await store.write(key, key.encode(), if_etag="", ttl=60)
    assert (await store.read(key)).value == key.encode()


async def read_all(store):
    """Return whether each child's record is there."""
    found = [await store.read(f"scope/child{number}") for number in range(8)]
    await store.aclose()
    return all(each.value for each in found)


def fork(store):
    """Fork with an open store, use it on both sides, and tell whether all went well."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(keep(store, "scope/parent"))
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            failed = 1
            try:
                asyncio.run(keep(store, f"scope/child{number}"))
                failed = 0
            finally:
                os._exit(failed)
        children.append(child)
    loop.run_until_complete(keep(store, "scope/again"))
    failures = sum(os.waitpid(child, 0)[1] for child in children)
    tell(failures, loop.run_until_complete(read_all(store)))
    loop.close()


async def main(mode, place, word):
    store = store_at(place)
    await store.open()
    await {"count": count, "write": write}[mode](store, word)
    await store.aclose()


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    if what == "fork":
        fork(store_at(where))
    else:
        asyncio.run(main(what, where, more[0]))
