"""Two web applications under load, while their tokens end and are renewed."""

import asyncio
from collections import Counter

import aiohttp
import pytest

from persona_share.partner.applications import free_port
from tests.examples.conftest import EXAMPLES


REQUESTS = 2_000
AT_ONCE = 40


async def load(programs, url, ids, *, seconds):
    """Spread 2,000 requests over this many seconds; return the counts of their statuses."""
    statuses = Counter()
    now = asyncio.get_running_loop().time
    start = now()

    async def caller(number):
        for turn in range(REQUESTS // AT_ONCE):
            due = start + seconds * turn / (REQUESTS // AT_ONCE)
            # A load has real time: tokens end on the service's own clock.
            await asyncio.sleep(max(0.0, due - now()))  # noqa: TID251
            each = ids[(number + turn) % len(ids)]
            async with http.get(f"{url}/inquiries/{each}") as response:
                statuses[response.status] += 1
                assert (await response.json())["id"] == each

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*map(caller, range(AT_ONCE)))
    return statuses


@pytest.mark.slow
@pytest.mark.asyncio
async def test_two_workers_of_fastapi_share_one_file_of_tokens(programs):
    sandbox, port = programs.sandbox, free_port()
    ids = await programs.shared(3)
    command = ["-m", "uvicorn", "--app-dir", str(EXAMPLES), "--workers", "2"]
    command += ["--port", str(port), "--log-level"]
    server = programs.serving(*command, "warning", "web_fastapi:app", port=port)
    async with server as url:
        begun = sandbox.now()
        statuses = await load(programs, url, ids, seconds=9)
        lasted = sandbox.now() - begun
        async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as found:
            health = await found.json()
    assert statuses == {200: REQUESTS}
    assert sandbox.log.count(status=401) == 0
    # A token of 6 s (announced as 5) is renewed from 2.5 s before its end on, at the
    # earliest; each renewal is one exchange, whichever worker makes it.
    renewals = 1 + lasted / 2.4
    assert 2 * len(ids) <= sandbox.log.tokens_issued <= renewals * len(ids)
    assert sandbox.log.codes_redeemed == sandbox.log.tokens_issued
    assert health["store_up"] is True


@pytest.mark.slow
@pytest.mark.asyncio
async def test_aiohttp_serves_the_same_under_the_same_load(programs):
    sandbox, port = programs.sandbox, free_port()
    ids = await programs.shared(3)
    server = programs.serving(str(EXAMPLES / "web_aiohttp.py"), str(port), port=port)
    async with server as url:
        begun = sandbox.now()
        statuses = await load(programs, url, ids, seconds=6)
        lasted = sandbox.now() - begun
    assert statuses == {200: REQUESTS}
    assert sandbox.log.count(status=401) == 0
    assert len(ids) < sandbox.log.tokens_issued <= (1 + lasted / 2.4) * len(ids)
