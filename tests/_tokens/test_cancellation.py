"""G7: whatever is cancelled, and wherever, nothing is left and the next call works."""

import asyncio

import pytest

from persona_share import Scope
from persona_share._pipeline.authenticated import Authenticated
from persona_share._protocol.http import Request, Response
from persona_share._tokens.bearer import TokenBearer
from persona_share._tokens.tickets import TicketState
from persona_share.errors import ConnectionLostError, ManagerClosedError
from persona_share.testing import ScriptedSender
from tests._tokens.sweep import WAYS


SCOPE = Scope.read("inq_1", "ver_2")
LOST = ConnectionLostError("lost")
#: No flow has that many suspensions; a sweep ends when its flow does.
MOST = 40


def delivered(scope=SCOPE):
    return "delivered." + str(scope).encode().hex()


async def cold(house, manager):
    """A first token: the source and the service both take their time."""
    house.partner.delay = house.service.delay = 1
    return manager.token(SCOPE)


async def lossy(house, manager):
    """A first token whose answer is lost twice."""
    house.service.delay = 1
    house.service.script = [LOST, LOST]
    return manager.token(SCOPE)


async def limited(house, manager):
    """A first token that has to wait for the end of a 429."""
    answer = Response(status=429, headers={"ratelimit-reset": "5"})
    house.service.script = [answer]
    return manager.token(SCOPE)


async def paced(house, manager):
    """A first token whose exchange has to wait for its turn."""
    house.service.headers = {"ratelimit-limit": "60"}
    others = [Scope.read(f"inq_{number}") for number in range(20, 33)]
    await house.soon(asyncio.gather(*(manager.token(scope) for scope in others)))
    return manager.token(SCOPE)


async def exchange(house, manager):
    """A delivered code, exchanged at once, its answer lost once."""
    house.service.delay = 1
    house.service.script = [LOST]
    return manager.exchange(delivered(), scope=SCOPE)


async def renewal(house, manager):
    """A token in its last minute: callers wait for the new one."""
    await manager.token(SCOPE)
    house.clock.advance(3599 - 45)
    house.partner.delay = house.service.delay = 1
    return manager.token(SCOPE)


async def warm(house, manager):
    """Two scopes at once, one of which is refused."""
    house.service.delay = 1
    house.service.script = [Response(status=404)]
    return manager.warm(SCOPE, Scope.read("inq_7"))


async def stray_401(house, manager):
    """A call whose token is refused once."""
    await manager.token(SCOPE)
    house.clock.advance(60)
    answers = [Response(status=401)] * 2 + [Response(status=200)]
    source = TokenBearer(SCOPE, manager._broker, house.context.runtime)
    deadline = house.clock.now() + 60
    request = Request(method="GET", route="/x", target="/x", deadline=deadline)
    return Authenticated(ScriptedSender(answers), source).send(request)


FLOWS = [cold, lossy, limited, paced, exchange, renewal, warm, stray_401]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
async def test_f73_f74_cancelled_at_any_suspension_nothing_is_left(house, flow, way):
    for at in range(1, MOST):
        manager = await house.manager()
        work = await flow(house, manager)
        before = len(house.service.requests)
        task = asyncio.ensure_future(WAYS[way](at, work))
        sweep = await house.soon(task, step=0.25)
        await at_rest(house, manager)
        await the_next_call_works(house, manager, before)
        await manager.aclose()
        house.service.requests.clear()
        house.service.script.clear()
        house.service.headers = {}
        house.partner.asked.clear()
        house.partner.delay = house.service.delay = 0
        if sweep.suspensions < at:
            break
    assert 1 < at < MOST - 1


async def at_rest(house, manager):
    """Let what was sent land, and look for what stays."""
    await house.pass_time(120, step=1)
    broker = manager._broker
    assert broker._flights == {}
    states = {ticket.state for ticket in broker.codes.pool}
    assert states <= {TicketState.QUEUED, TicketState.IN_DOUBT}
    # The background, its two waits, and this test.
    assert len(asyncio.all_tasks()) <= 4


async def the_next_call_works(house, manager, before):
    """Ask once more; a code that left is not followed by another one for its scope."""
    token = await house.soon(manager.token(SCOPE), seconds=120)
    assert token.scope == SCOPE
    marked = str(SCOPE).encode().hex()
    sent = {code for code in house.service.codes[before:] if code.endswith(marked)}
    assert len(sent) <= 1 + manager.metrics().codes_rejected


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("patience", [1, 20])
async def test_f72_a_cancelled_close_leaves_nothing_behind(house, way, patience):
    for at in range(1, MOST):
        manager = await house.manager()
        house.service.delay = patience
        callers = [
            asyncio.ensure_future(manager.token(scope))
            for scope in (SCOPE, Scope.read("inq_7"))
        ]
        await house.settle()
        closing = asyncio.ensure_future(WAYS[way](at, manager.aclose()))
        sweep = await house.soon(closing, step=0.25)
        ended = await house.soon(asyncio.gather(*callers, return_exceptions=True))
        for outcome in ended:
            done = isinstance(outcome, ManagerClosedError)
            assert done or outcome.scope <= SCOPE | Scope.read("inq_7")
        await house.settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        states = {ticket.state for ticket in manager._broker.codes.pool}
        assert states <= {TicketState.IN_DOUBT}
        await manager.aclose()
        with pytest.raises(ManagerClosedError):
            await manager.token(SCOPE)
        if sweep.suspensions < at:
            break
    assert 1 < at < MOST - 1


@pytest.mark.asyncio
@pytest.mark.parametrize("flow", FLOWS[:6], ids=lambda flow: flow.__name__)
async def test_f67_every_task_cancelled_as_a_loop_does_at_its_end(house, flow):
    """`asyncio.run` cancels all tasks, flights and background included."""
    for steps in range(30):
        manager = await house.manager()
        caller = asyncio.ensure_future(await flow(house, manager))
        await house.settle()
        await house.pass_time(0.25 * steps, step=0.25)
        landed = caller.done()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert manager._broker._flights == {}
        states = {ticket.state for ticket in manager._broker.codes.pool}
        assert states <= {TicketState.QUEUED, TicketState.IN_DOUBT}
        assert caller.cancelled() or caller.exception() or landed
        await manager.aclose()
        house.service.script.clear()
        house.service.headers = {}
        house.partner.delay = house.service.delay = 0
        if landed:
            break
    assert landed


@pytest.mark.asyncio
async def test_a_cancelled_caller_sees_it_at_once_and_the_exchange_lands(house):
    house.service.delay = 5
    manager = await house.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    now = house.clock.now()
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert house.clock.now() == now
    await house.pass_time(5)
    assert manager.peek(SCOPE) is not None
