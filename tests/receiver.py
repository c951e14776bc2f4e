"""A process that receives one webhook several times at once: ``PLACE TIMES``.

It shares a store of events with others of its kind, waits for a line of input, and tells
of each delivery whether its event was new.
"""

import asyncio
import sys

import orjson

from persona_share.testing.clock import FakeClock
from persona_share.webhooks import StoreReplayGuard, Verifier, sign
from tests.stores.worker import store_at


SECRET = "wbhsec_one"
BODY = orjson.dumps(
    {
        "data": {
            "type": "event",
            "id": "evt_1",
            "attributes": {"name": "inquiry.approved"},
        }
    }
)


async def main(place, times):
    store, clock = store_at(place), FakeClock()
    verifier = Verifier(SECRET, guard=StoreReplayGuard(store), clock=clock)
    header = sign(BODY, SECRET, at=clock.wall())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    received = await asyncio.gather(
        *(verifier.receive(BODY, header) for _ in range(times))
    )
    for each in received:
        word = "new" if each.is_new else "duplicate"
        sys.stdout.write(f"{each.event.id} {word}\n")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
