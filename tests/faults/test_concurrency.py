"""F60 to F79: many callers, few exchanges, and nothing left after a cancellation.

Others with these ids: tests/_tokens/test_broker.py (F60 to F65), test_cancellation.py
(F67, F72 to F74), test_refusals.py (F79), tests/scenarios/test_bad_input.py (F68, F69,
F77).
"""

import asyncio
import gc
import json
import logging
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import anyio
import pytest

from persona_share import Scope
from persona_share._pipeline.authenticated import Authenticated
from persona_share._protocol.http import Request, Response
from persona_share.errors import (
    ConfigurationError,
    ManagerClosedError,
    UsageError,
    WrongEventLoopError,
)
from persona_share.model.policy import RenewalPolicy, RetryPolicy
from tests.faults.workers import exchange_in_a_worker


SCOPE = Scope.read("inq_1", "ver_2")


# ── Callers that leave, loops that end ──────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("group", [asyncio.TaskGroup, anyio.create_task_group])
async def test_f66_failed_task_group_ends_at_once_and_the_exchange_completes(
    harness, group
):
    harness.service.delay = 10
    manager = await harness.manager()
    ended = []

    async def fails():
        await harness.clock.sleep(1)
        raise ValueError

    async def work():
        try:
            async with group() as tasks:
                start = getattr(tasks, "start_soon", None)
                for each in (lambda: manager.token(SCOPE), fails):
                    start(each) if start else tasks.create_task(each())
        finally:
            ended.append(harness.clock.now())

    began = harness.clock.now()
    with pytest.raises(ExceptionGroup):
        await harness.advance_until_done(work())
    assert ended[0] - began <= 1.5
    await harness.advance_clock(10)
    assert manager.peek(SCOPE) is not None
    assert len(harness.service.requests) == 1


@pytest.mark.parametrize("closing", [False, True], ids=["left open", "closed"])
def test_f67_run_that_ends_during_an_exchange_logs_nothing(
    make_harness, caplog, closing
):
    caplog.set_level(logging.DEBUG, "asyncio")
    harness = make_harness()
    complaints = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["message"])
        )
        harness.service.delay = 1
        harness.partner.delay = 1
        manager = await harness.manager()
        callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(3)]
        await harness.settle()
        harness.clock.advance(1)
        await harness.settle()
        assert len(harness.service.requests) == 1
        if closing:
            done = asyncio.ensure_future(manager.aclose())
            await harness.settle()
            harness.clock.advance(6)
            await done
        return callers

    asyncio.run(main())
    gc.collect()
    assert complaints == []
    assert [each.getMessage() for each in caplog.records if each.levelno > 20] == []


def test_f67_closed_manager_leaves_no_task_in_its_loop(make_harness, caplog):
    harness = make_harness()
    loop = asyncio.new_event_loop()

    async def use():
        manager = await harness.manager()
        await manager.token(SCOPE)
        await manager.aclose()

    loop.run_until_complete(use())
    assert asyncio.all_tasks(loop) == set()
    loop.close()
    gc.collect()
    assert "Task was destroyed" not in caplog.text


def test_f68_manager_of_another_run_is_refused(make_harness):
    harness = make_harness()

    async def first():
        manager = await harness.manager()
        await manager.token(SCOPE)
        return manager

    async def second(manager):
        for use in (
            lambda: manager.token(SCOPE),
            lambda: manager.exchange("code"),
            lambda: manager.offer("code", SCOPE),
            manager.__aenter__,
            manager.aclose,
        ):
            with pytest.raises(WrongEventLoopError):
                await use()

    manager = asyncio.run(first())
    asyncio.run(second(manager))


def test_f68_manager_that_was_closed_stays_closed_in_another_run(make_harness):
    harness = make_harness()

    async def first():
        async with await harness.manager(entered=False) as manager:
            await manager.token(SCOPE)
        return manager

    async def second(manager):
        await manager.aclose()
        with pytest.raises(ManagerClosedError):
            await manager.__aenter__()

    asyncio.run(second(asyncio.run(first())))


@pytest.mark.asyncio
async def test_f68_manager_is_entered_once(harness):
    manager = await harness.manager()
    with pytest.raises(UsageError, match="entered already"):
        await manager.__aenter__()
    assert await manager.token(SCOPE)


# ── Processes ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f70_manager_is_refused_after_a_fork(scenario):
    """Eight children of a process with a token, a pending code, and an exchange in flight."""
    sandbox = scenario.sandbox
    inquiries = [sandbox.add_inquiry().id for _ in range(12)]
    config = {
        "url": sandbox.url,
        "source": sandbox.source.api_key,
        "destination": sandbox.destination.api_key,
        "partner": sandbox.destination.id,
        "inquiries": inquiries,
    }
    script = Path(__file__).with_name("fork_program.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(
        process.communicate(json.dumps(config).encode()), timeout=60
    )
    assert (process.returncode, err.decode()) == (0, "")
    assert json.loads(out) == {"children": [0] * 8, "parent": "went on"}
    # Three scopes of the parent, one of each child, and each code was used once.
    assert sandbox.log.tokens_issued == sandbox.log.codes_redeemed == 3 + 8


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "method", [pytest.param("spawn", marks=pytest.mark.slow), "forkserver"]
)
async def test_f71_workers_with_one_code_share_one_token(scenario, method):
    sandbox = scenario.sandbox
    scope = Scope.read(sandbox.add_inquiry().id)
    code = await scenario.ask_partner(scope)
    arguments = (
        sandbox.url,
        sandbox.destination.api_key,
        code.reveal(),
        scope,
        (RenewalPolicy(guard=5.0), RetryPolicy(attempts=2)),
    )
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        results = await asyncio.gather(
            *(
                loop.run_in_executor(pool, exchange_in_a_worker, *arguments)
                for _ in range(2)
            )
        )
    assert {granted for granted, _ in results} == {scope}
    assert len({fingerprint for _, fingerprint in results}) == 1
    assert sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_f71_objects_with_a_secret_or_a_loop_cannot_be_pickled(scenario):
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    code = await scenario.ask_partner(scope)
    async with scenario.manager() as manager:
        held = [
            manager,
            manager.session(scope),
            await manager.token(scope),
            code,
            scenario.destination,
        ]
        for each in held:
            with pytest.raises((TypeError, ConfigurationError)):
                pickle.dumps(each)


# ── Closing ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f72_close_waits_for_an_exchange_that_was_sent(harness):
    harness.service.delay = 4
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await harness.settle()
    await harness.advance_until_done(manager.aclose())
    assert (await caller).scope == SCOPE


@pytest.mark.asyncio
async def test_f72_close_waits_at_most_five_seconds(harness):
    harness.service.delay = 60
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await harness.settle()
    began = harness.clock.now()
    await harness.advance_until_done(manager.aclose(), step=0.1)
    assert 5 <= harness.clock.now() - began <= 5.2
    with pytest.raises(ManagerClosedError):
        await caller


@pytest.mark.asyncio
async def test_f72_closing_does_not_wait_for_a_code_source(harness):
    harness.partner.delay = 60
    manager = await harness.manager()
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(3)]
    await harness.settle()
    await manager.aclose()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(error) for error in errors} == {ManagerClosedError}
    assert len({id(error) for error in errors}) == 3
    assert harness.service.requests == []


@pytest.mark.asyncio
async def test_f72_close_can_be_called_twice(harness):
    harness.service.delay = 3
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await harness.settle()
    await harness.advance_until_done(asyncio.gather(manager.aclose(), manager.aclose()))
    await manager.aclose()
    assert await caller


@pytest.mark.asyncio
async def test_f72_every_method_raises_after_close(harness):
    manager = await harness.manager()
    token = await manager.token(SCOPE)
    await manager.aclose()
    for use in (
        lambda: manager.token(SCOPE),
        lambda: manager.exchange("code"),
        lambda: manager.warm(SCOPE),
        lambda: manager.forget(SCOPE),
        lambda: manager.offer("code", SCOPE),
    ):
        with pytest.raises(ManagerClosedError):
            await use()
    for use in (
        lambda: manager.peek(SCOPE),
        lambda: manager.invalidate(token),
    ):
        with pytest.raises(ManagerClosedError):
            use()
    assert "closed" in repr(manager)


# ── Many scopes ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "calls", [3, pytest.param(100, marks=pytest.mark.slow)], ids="{}_calls".format
)
@pytest.mark.asyncio
async def test_f76_requests_of_a_thousand_scopes_carry_their_own_tokens(harness, calls):
    manager = await harness.manager()
    scopes = [Scope.read(f"inq_{number}") for number in range(1_000)]
    tokens = [await manager.token(scope) for scope in scopes]
    owner = {f"Bearer {token.reveal()}": str(token.scope) for token in tokens}
    matched = []

    class Api:
        async def send(self, request):
            # The stand-in for the service: who asks must be who was granted.
            matched.append(owner[str(request.authorization)] == request.target)
            return Response(status=200)

    async def call(scope):
        source = manager.credential(scope)
        sender, deadline = Authenticated(Api(), source), harness.clock.now() + 60
        request = Request(
            method="GET", route="/x", target=str(scope), deadline=deadline
        )
        await asyncio.gather(*(sender.send(request) for _ in range(calls)))

    for scope in scopes:
        await call(scope)
    assert len(matched) == 1_000 * calls
    assert all(matched)
    assert len(harness.service.requests) == len(manager.tokens()) == 1_000
