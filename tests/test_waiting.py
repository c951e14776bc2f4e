"""Waiting for work with a limit."""

import asyncio
import gc

import pytest

from persona_share._waiting import within
from persona_share.testing import FakeClock


@pytest.mark.asyncio
async def test_error_is_not_reported_when_the_caller_is_cancelled_at_that_moment():
    reported, failing = [], asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))

    async def work():
        await failing.wait()
        raise OSError

    caller = asyncio.create_task(within(FakeClock(), 10, work()))
    for _ in range(3):
        await asyncio.sleep(0)  # noqa: TID251  # lets the work begin
    failing.set()
    await asyncio.sleep(0)  # noqa: TID251  # lets it fail
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    del caller
    gc.collect()
    await asyncio.sleep(0)  # noqa: TID251  # lets a report come
    assert not reported
