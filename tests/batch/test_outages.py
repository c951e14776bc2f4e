"""Outages: one request probes the service, and then all continue."""

import asyncio

import pytest

from persona_share.errors import ConnectError


pytestmark = pytest.mark.asyncio
DOWN = ConnectError("refused")


async def ended(*tasks):
    """Return whether the tasks end without a move of the clock."""
    _, pending = await asyncio.wait(tasks, timeout=1)
    for each in pending:
        each.cancel()
    return not pending


def paused_monitor(kit):
    monitor = kit.monitor(threshold=1)
    assert monitor.failed(DOWN.fresh())
    return monitor


async def attempt(monitor, probes):
    async with monitor.attempt() as probe:
        probes.append(probe)
        monitor.succeeded()


async def test_all_continue_when_an_earlier_request_succeeds_as_they_begin_to_wait(kit):
    monitor, probes = paused_monitor(kit), []
    tasks = [asyncio.create_task(attempt(monitor, probes)) for _ in range(3)]
    await asyncio.sleep(0)  # noqa: TID251  # lets them begin to wait
    monitor.succeeded()
    assert await ended(*tasks)
    assert probes == [False, False, False]


async def test_a_waiting_probe_continues_when_an_earlier_request_succeeds(kit):
    monitor, probes = paused_monitor(kit), []
    tasks = [asyncio.create_task(attempt(monitor, probes)) for _ in range(2)]
    await kit.settle()
    assert not probes
    monitor.succeeded()
    assert await ended(*tasks)
    assert probes == [False, False]


@pytest.mark.parametrize("left_by", ["cancellation", "error"])
async def test_another_caller_probes_when_a_probe_ends_without_a_result(kit, left_by):
    monitor, probes = paused_monitor(kit), []

    async def leave():
        async with monitor.attempt() as probe:
            probes.append(probe)
            if left_by == "error":
                raise OSError
            await asyncio.Event().wait()

    leaving = asyncio.create_task(leave())
    await kit.settle()
    waiting = asyncio.create_task(attempt(monitor, probes))
    await kit.settle()
    kit.clock.advance(60)
    await kit.settle()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert await ended(waiting)
    assert probes == [True, True]
