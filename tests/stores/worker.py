"""A process that uses a store: what a test does to it happens to a real one.

``python -m tests.stores.worker MODE PLACE [WORD]``; a place is a path or a Redis URL.
"""

import asyncio
import os
import sys

from persona_share._policy.election import Carried, Lead
from persona_share._transport.runtime import system_runtime
from persona_share.stores import RedisStore, SQLiteStore


def tell(*words):
    """Tell the test, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def store_at(place):
    """Answer the store at a place."""
    if place.startswith("redis://"):
        return RedisStore(place, plaintext=True)
    return SQLiteStore(place)


async def elect(store, key, owner):
    return await store.elect(key, owner, newer_than=0, at_least=0.0)


async def race(store, owner):
    """Ask for 50 keys and tell which of them we lead."""
    tell("ready")
    sys.stdin.readline()
    for number in range(50):
        if isinstance(await elect(store, f"key {number}", owner), Lead):
            tell(number)


async def claim(store, word):
    """Lead a key, put a code under it, perhaps send it, and then do nothing."""
    leader = await elect(store, "key", "the first")
    await store.attach("key", "the first", leader.fence, Carried("id", 600.0, b"code"))
    if word == "sent":
        await store.mark_sent("key", "the first", leader.fence, 0)
    tell("ready")
    sys.stdin.readline()


async def write(store, word):
    """Keep one token after the other and tell each that was kept."""
    number = int(word)
    while True:
        await store.adopt(f"key {number}", remaining=3_600.0, blob=b"%d" % number)
        tell(number)
        number += 1


async def keep(store, key):
    await store.open(system_runtime())
    await store.adopt(key, remaining=3_600.0, blob=b"token")
    answer = await elect(store, key, "owner")
    assert answer.blob == b"token"


def fork(store):
    """Fork with an open store, use it on both sides, and tell whether all went well."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(keep(store, "parent"))
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            failed = 1
            try:
                asyncio.run(keep(store, f"child {number}"))
                failed = 0
            finally:
                os._exit(failed)
        children.append(child)
    loop.run_until_complete(keep(store, "parent again"))
    failures = sum(os.waitpid(child, 0)[1] for child in children)
    answers = [
        loop.run_until_complete(elect(store, f"child {number}", "parent"))
        for number in range(8)
    ]
    loop.run_until_complete(store.close())
    loop.close()
    tell(failures, [each.blob for each in answers] == [b"token"] * 8)


async def main(mode, place, word):
    store = store_at(place)
    await store.open(system_runtime())
    await {"race": race, "claim": claim, "write": write}[mode](store, word)
    await store.close()


if __name__ == "__main__":
    what, where, *more = sys.argv[1:]
    if what == "fork":
        fork(store_at(where))
    else:
        asyncio.run(main(what, where, more[0]))
