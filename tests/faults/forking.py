"""A program that forks while its manager is at work; a test runs it (F70)."""

import asyncio
import json
import os
import signal
import sys

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import WrongEventLoopError


CHILDREN = 8


def opened(told, key):
    """A client of one of the two organizations."""
    return PersonaClient(told[key], base_url=told["url"], insecure_local=True)


async def refused(*uses):
    """Check that each call is refused without waiting."""
    for use in uses:
        try:
            answer = use()
            if asyncio.iscoroutine(answer):
                await asyncio.wait_for(answer, 1)
        except WrongEventLoopError:
            continue
        message = "a child used what its parent opened"
        raise AssertionError(message)


async def child(told, number, manager, session, scope):
    """Check that the objects of the parent are refused; then open new ones."""
    inquiry = scope.object_ids()[0]
    await refused(
        lambda: manager.token(scope),
        lambda: manager.exchange("code"),
        lambda: manager.offer("code", scope),
        lambda: manager.peek(scope),
        lambda: session.inquiries.retrieve(inquiry),
        manager.__aenter__,
    )
    # The parent still has its waiting code, so the child must not.
    assert manager.metrics().codes_waiting == 0
    await manager.aclose()
    own = Scope.read(told["inquiries"][3 + number])
    async with (
        opened(told, "source") as source,
        opened(told, "destination") as destination,
        ScopedTokenManager(destination, codes=asking(told, source)) as fresh,
    ):
        got = await fresh.session(own).inquiries.retrieve(own.object_ids()[0])
        assert got.id in own.object_ids()


def asking(told, source):
    async def ask(scope):
        return await source.oauth.authorize(client_id=told["partner"], scope=scope)

    return ask


def forked(told, number, manager, session, scope):
    """Fork; return the child's process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(20)
        asyncio.run(child(told, number, manager, session, scope))
        status = 0
    finally:
        os._exit(status)


async def parent(told):
    """Hold a token, a pending code and an exchange in flight; fork; continue."""
    first, second, third = (Scope.read(each) for each in told["inquiries"][:3])
    gate = asyncio.Event()
    async with (
        opened(told, "source") as source,
        opened(told, "destination") as destination,
    ):
        ask = asking(told, source)

        async def gated(scope):
            if scope == second:
                await gate.wait()
            return await ask(scope)

        async with ScopedTokenManager(destination, codes=gated) as manager:
            session = manager.session(first)
            await session.inquiries.retrieve(first.object_ids()[0])
            await manager.offer(await ask(third), third)
            waiting = asyncio.ensure_future(manager.token(second))
            await asyncio.sleep(0)  # noqa: TID251  # a turn: the flight begins
            pids = [
                forked(told, number, manager, session, first)
                for number in range(CHILDREN)
            ]
            gate.set()
            await waiting
            await session.inquiries.retrieve(first.object_ids()[0])
            await manager.token(third)  # by the code that was offered
            ends = [await asyncio.to_thread(os.waitpid, pid, 0) for pid in pids]
    statuses = [os.waitstatus_to_exitcode(status) for _, status in ends]
    print(json.dumps({"children": statuses, "parent": "went on"}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(parent(json.load(sys.stdin)))
