"""Ten thousand objects at 300 requests a minute: all of the limit, and none beyond it.

Time is that of a clock that jumps as soon as everybody waits for it, so half an hour
takes as long as its requests do. `make soak-batch` fetches the ten thousand, under tokens
that live ten minutes; `make test` an eighth of them, under tokens that live two.
"""

import asyncio
import math
import os

import pytest

from persona_share import Failed, PersonaClient, Scope, ScopedTokenManager
from persona_share.sandbox import Sandbox
from persona_share.testing import FakeClock, fake_runtime


LIMIT = 300
WHOLE = "SOAK_MINUTES" in os.environ
OBJECTS = 10_000 if WHOLE else 1_250
TOKEN_LIFETIME = 600 if WHOLE else 120
WINDOW = 60.0


async def passed(clock, sandbox, work):
    """Let time pass whenever nothing else happens, until the work is done."""
    task = asyncio.ensure_future(work)
    seen, idle = -1, 0
    while not task.done():
        await asyncio.wait({task}, timeout=0.002)
        idle = idle + 1 if len(sandbox.log) == seen else 0
        seen = len(sandbox.log)
        if idle > 3:
            clock.advance(0.5)
    return await task


async def fetched(ids, sandbox, clock, *, objects_per_token):
    """Fetch with scopes of this size, and return the batch and the failures."""
    options = {
        "base_url": sandbox.url,
        "insecure_local": True,
        "_runtime": fake_runtime(clock),
    }
    async with (
        PersonaClient(sandbox.source.api_key, **options) as source,
        PersonaClient(sandbox.destination.api_key, **options) as destination,
    ):

        async def ask_partner(scope):
            return await source.oauth.authorize(
                client_id=sandbox.destination.id, scope=scope
            )

        async with ScopedTokenManager(destination, codes=ask_partner) as manager:
            if objects_per_token is None:
                scope = Scope.read(*dict.fromkeys(ids))
                batch = manager.session(scope).fetch(ids)
            else:
                batch = manager.fetch(ids, objects_per_token=objects_per_token)
            failed = [each async for each in batch if isinstance(each, Failed)]
            return batch, failed, manager.metrics(), clock.now()


def share_of_ideal(sandbox, started, ended):
    """Return the share of the allowed requests that were made.

    Exchanges count in the limit like any other request. The last window is not over.
    """
    requests = [
        entry for entry in sandbox.log if entry.organization == sandbox.destination.id
    ]
    least = (math.ceil(len(requests) / LIMIT) - 1) * WINDOW
    return least / (ended - started)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "objects_per_token"),
    [(OBJECTS, 250), (250, None)],
    ids=["as many people, by scopes of 250", "250 people, again and again"],
)
@pytest.mark.asyncio
async def test_batch_fetches_ten_thousand_objects(people, objects_per_token):
    clock = FakeClock()
    sandbox = Sandbox(
        _clock=clock.epoch, rate_limit=LIMIT, token_lifetime=TOKEN_LIFETIME
    )
    async with sandbox:
        ids = [sandbox.add_inquiry().id for _ in range(people)] * (OBJECTS // people)
        started = clock.now()
        work = fetched(ids, sandbox, clock, objects_per_token=objects_per_token)
        batch, failed, metrics, ended = await passed(clock, sandbox, work)

    assert failed == []
    assert batch.report().fetched == OBJECTS
    assert sandbox.log.count(status=429) == 0
    assert share_of_ideal(sandbox, started, ended) >= 0.98
    if objects_per_token is None:  # one scope that outlives its token again and again
        assert metrics.renewals >= 3
    else:
        assert sandbox.log.tokens_issued <= 2 * (OBJECTS // objects_per_token)
