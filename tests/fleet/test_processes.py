"""F83, F115, F120 to F126: processes that share tokens and freeze, crash or exit."""

import asyncio
import os
import signal

import attrs
import pytest

from persona_share import Scope, ScopedTokenManager
from persona_share._tokens.record import LEASE
from persona_share.testing.clock import moving_clock
from tests.fleet.workers import TIMEOUT, WorkerProcesses, token_hash


TOKEN = "POST /oauth/token"


def scopes(sandbox, count):
    return [str(Scope.read(sandbox.add_inquiry().id)) for _ in range(count)]


async def codes(sandbox, config, wanted):
    async with config.client(config.source_key) as source:
        return [
            (
                (
                    await source.oauth.authorize(
                        client_id=sandbox.destination.id, scope=scope
                    )
                ).reveal(),
                scope,
            )
            for scope in wanted
        ]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_f125_eight_processes_use_one_code_per_scope(sandbox, config, store_url):
    wanted = scopes(sandbox, 200)
    async with WorkerProcesses(
        attrs.evolve(config, store=store_url), 8, "get_each", wanted
    ) as workers:
        got = await workers.results()

    assert sandbox.log.tokens_issued == sandbox.log.codes_issued == 200
    assert len(got[0]) == 200
    assert all(each == got[0] for each in got)


@pytest.mark.asyncio
async def test_f125_sixteen_processes_with_500_tasks_exchange_once(
    sandbox, config, store_url
):
    [wanted] = scopes(sandbox, 1)
    config = attrs.evolve(config, store=store_url)
    async with WorkerProcesses(config, 16, "get_concurrently", wanted, 500) as workers:
        got = await workers.results()

    assert len(got) == 16
    assert len(set.union(*got)) == 1
    assert (sandbox.log.tokens_issued, sandbox.log.codes_issued) == (1, 1)


@pytest.mark.asyncio
async def test_f124_one_code_in_four_processes_without_a_store_yields_one_token(
    sandbox, config
):
    given = await codes(sandbox, config, scopes(sandbox, 10))
    sandbox.faults.random(0.3, 7, ["lose_answer"], operation=TOKEN)
    async with WorkerProcesses(config, 4, "exchange", given) as workers:
        got = await workers.results()

    assert [len(each) for each in got] == [10] * 4
    assert all(each == got[0] for each in got)
    assert sandbox.log.tokens_issued == 10


@pytest.mark.parametrize("acted", [False, True])
@pytest.mark.asyncio
async def test_f83_f115_f121_ten_codes_of_a_frozen_manager_yield_ten_tokens(
    sandbox, config, tmp_path, acted
):
    wanted = scopes(sandbox, 10)
    # On a slow machine no attempt may end before all ten requests hang. Without a
    # response the limit is unknown; a short patience sends them at the same time.
    config = attrs.evolve(
        config,
        store=str(tmp_path / "tokens.db"),
        attempt_timeout=TIMEOUT,
        probe_patience=0.01,
    )
    sandbox.faults.hang(TOKEN, times=10, acted=acted)
    async with WorkerProcesses(config, 1, "get_each", wanted) as workers:
        async with asyncio.timeout(30):
            while sandbox.faults.pending:  # noqa: ASYNC110  # another process sends
                await asyncio.sleep(0.01)  # noqa: TID251  # real processes, real time
        os.kill(workers.processes[0].pid, signal.SIGSTOP)
        sandbox.faults.release()
        got = await taken_over(config, wanted)
        os.kill(workers.processes[0].pid, signal.SIGCONT)
        [late] = await workers.results()

    assert sandbox.log.codes_issued == 10
    assert sandbox.log.tokens_issued == 10
    assert late == got


async def taken_over(config, wanted):
    """Return the tokens of a successor after the leader's lease expired."""
    with moving_clock() as clock:
        clock.advance(LEASE + 1)
        async with (
            config.client(config.api_key) as client,
            ScopedTokenManager(client, store=config.new_store()) as manager,
        ):
            return {
                scope: token_hash(await manager.token(scope, timeout=60.0))
                for scope in wanted
            }


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.asyncio
async def test_f120_f122_f126_reported_tokens_survive_the_end_of_a_process(
    sandbox, config, store_url, end
):
    wanted = scopes(sandbox, 40)
    config = attrs.evolve(config, store=store_url)
    reported = {}
    async with WorkerProcesses(config, 1, "stream_tokens", wanted) as workers:
        for _ in range(20):
            scope, token = await workers.receive("token")
            reported[scope] = token
        os.kill(workers.processes[0].pid, end)
        await asyncio.to_thread(workers.processes[0].join)
        issued = sandbox.log.tokens_issued
        # The successor waits until the lease expires.
        config = attrs.evolve(config, fast=True)
        async with WorkerProcesses(config, 1, "get_each", list(reported)) as successor:
            [got] = await successor.results()

    assert got == reported
    assert sandbox.log.tokens_issued == issued
