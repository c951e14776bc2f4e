"""F83, F115, F120 to F126: processes that share tokens, freeze, die and end politely."""

import asyncio
import os
import signal

import attrs
import pytest

from persona_share import Scope, ScopedTokenManager
from persona_share._tokens.record import LEASE
from persona_share.testing.clock import moving_clock
from tests.fleet.crew import LONGEST, Crew, mark


TOKEN = "POST /oauth/token"


def scopes(box, count):
    return [str(Scope.read(box.add_inquiry().id)) for _ in range(count)]


async def codes(box, place, wanted):
    async with place.client(place.source_key) as source:
        return [
            (
                (
                    await source.oauth.authorize(
                        client_id=box.destination.id, scope=scope
                    )
                ).reveal(),
                scope,
            )
            for scope in wanted
        ]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_f125_eight_processes_burn_one_code_a_scope(box, place, shared):
    wanted = scopes(box, 200)
    async with Crew(attrs.evolve(place, store=shared), 8, "each", wanted) as crew:
        got = await crew.results()

    assert box.log.tokens_issued == box.log.codes_issued == 200
    assert len(got[0]) == 200
    assert all(each == got[0] for each in got)


@pytest.mark.asyncio
async def test_f125_sixteen_processes_with_500_tasks_exchange_once(box, place, shared):
    [wanted] = scopes(box, 1)
    place = attrs.evolve(place, store=shared)
    async with Crew(place, 16, "at_once", wanted, 500) as crew:
        got = await crew.results()

    assert len(got) == 16
    assert len(set.union(*got)) == 1
    assert (box.log.tokens_issued, box.log.codes_issued) == (1, 1)


@pytest.mark.asyncio
async def test_f124_one_code_in_four_processes_without_a_store_yields_one_token(
    box, place
):
    given = await codes(box, place, scopes(box, 10))
    box.faults.random(0.3, 7, ["lose_answer"], operation=TOKEN)
    async with Crew(place, 4, "exchange", given) as crew:
        got = await crew.results()

    assert [len(each) for each in got] == [10] * 4
    assert all(each == got[0] for each in got)
    assert box.log.tokens_issued == 10


@pytest.mark.parametrize("acted", [False, True])
@pytest.mark.asyncio
async def test_f83_f115_f121_ten_codes_of_a_frozen_manager_yield_ten_tokens(
    box, place, tmp_path, acted
):
    wanted = scopes(box, 10)
    # On a slow machine no attempt may end before all ten requests hang. Without an
    # answer the limit is unknown: only a short patience sends them at the same time.
    place = attrs.evolve(
        place,
        store=str(tmp_path / "tokens.db"),
        attempt_timeout=LONGEST,
        probe_patience=0.01,
    )
    box.faults.hang(TOKEN, times=10, acted=acted)
    async with Crew(place, 1, "each", wanted) as crew:
        async with asyncio.timeout(30):
            while box.faults.pending:  # noqa: ASYNC110  # another process sends
                await asyncio.sleep(0.01)  # noqa: TID251  # real processes, real time
        os.kill(crew.processes[0].pid, signal.SIGSTOP)
        box.faults.release()
        got = await taken_over(place, wanted)
        os.kill(crew.processes[0].pid, signal.SIGCONT)
        [late] = await crew.results()

    assert box.log.codes_issued == 10
    assert box.log.tokens_issued == 10
    assert late == got


async def taken_over(place, wanted):
    """Return what a successor gets when the leader's lease has ended."""
    with moving_clock() as clock:
        clock.advance(LEASE + 1)
        async with (
            place.client(place.api_key) as client,
            ScopedTokenManager(client, store=place.new_store()) as manager,
        ):
            return {
                scope: mark(await manager.token(scope, timeout=60.0))
                for scope in wanted
            }


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.asyncio
async def test_f120_f122_f126_reported_tokens_survive_the_end_of_a_process(
    box, place, shared, end
):
    wanted = scopes(box, 40)
    place = attrs.evolve(place, store=shared)
    told = {}
    async with Crew(place, 1, "keep_on", wanted) as crew:
        for _ in range(20):
            scope, token = await crew.hear("token")
            told[scope] = token
        os.kill(crew.processes[0].pid, end)
        await asyncio.to_thread(crew.processes[0].join)
        minted = box.log.tokens_issued
        # The successor waits for the end of a lease that nobody extends.
        place = attrs.evolve(place, fast=True)
        async with Crew(place, 1, "each", list(told)) as successor:
            [got] = await successor.results()

    assert got == told
    assert box.log.tokens_issued == minted
