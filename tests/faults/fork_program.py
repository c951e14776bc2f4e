"""A program that forks while its manager is in use (F70)."""

import asyncio
import json
import os
import signal
import sys

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import WrongEventLoopError


CHILDREN = 8


def new_client(config, key):
    """A client of one of the two organizations."""
    return PersonaClient(config[key], base_url=config["url"], insecure_local=True)


async def check_refused(*uses):
    """Check that each call is refused without waiting."""
    for use in uses:
        try:
            result = use()
            if asyncio.iscoroutine(result):
                await asyncio.wait_for(result, 1)
        except WrongEventLoopError:
            continue
        message = "a child used what its parent opened"
        raise AssertionError(message)


async def child(config, number, manager, session, scope):
    """Check that the objects of the parent are refused; then open new ones."""
    inquiry = scope.object_ids()[0]
    await check_refused(
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
    own = Scope.read(config["inquiries"][3 + number])
    async with (
        new_client(config, "source") as source,
        new_client(config, "destination") as destination,
        ScopedTokenManager(destination, codes=code_source(config, source)) as fresh,
    ):
        got = await fresh.session(own).inquiries.retrieve(own.object_ids()[0])
        assert got.id in own.object_ids()


def code_source(config, source):
    async def ask(scope):
        return await source.oauth.authorize(client_id=config["partner"], scope=scope)

    return ask


def fork_child(config, number, manager, session, scope):
    """Fork; return the child's process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(20)
        asyncio.run(child(config, number, manager, session, scope))
        status = 0
    finally:
        os._exit(status)


async def parent(config):
    """Hold a token, a pending code and an exchange in flight; fork; continue."""
    first, second, third = (Scope.read(each) for each in config["inquiries"][:3])
    gate = asyncio.Event()
    async with (
        new_client(config, "source") as source,
        new_client(config, "destination") as destination,
    ):
        ask = code_source(config, source)

        async def gated_source(scope):
            if scope == second:
                await gate.wait()
            return await ask(scope)

        async with ScopedTokenManager(destination, codes=gated_source) as manager:
            session = manager.session(first)
            await session.inquiries.retrieve(first.object_ids()[0])
            await manager.offer(await ask(third), third)
            waiting = asyncio.ensure_future(manager.token(second))
            await asyncio.sleep(0)  # noqa: TID251  # the exchange begins
            pids = [
                fork_child(config, number, manager, session, first)
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
