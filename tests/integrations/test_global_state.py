"""The library changes no global state of a program."""

import asyncio
import contextlib
import contextvars
import logging
import os
import signal
import subprocess
import sys
import threading

import aiohttp
import pytest

from persona_share import Scope
from persona_share.model.events import CallEnded


USER = contextvars.ContextVar("user", default="nobody")


def state_of_the_program():
    """Return the global state that a library could change."""
    root = logging.getLogger()
    ours = logging.getLogger("persona_share")
    return {
        "handlers": [*root.handlers, *ours.handlers],
        "levels": (
            root.level,
            ours.level,
            ours.propagate,
            logging.root.manager.disable,
        ),
        "signals": {each: signal.getsignal(each) for each in signal.valid_signals()},
        "environment": dict(os.environ),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "exceptions": asyncio.get_running_loop().get_exception_handler(),
        "factory": asyncio.get_running_loop().get_task_factory(),
    }


@pytest.mark.asyncio
async def test_telemetry_changes_no_global_state_and_leaves_no_task(harness):
    inquiry = harness.sandbox.add_inquiry()
    before, tasks = state_of_the_program(), asyncio.all_tasks()
    threads = set(threading.enumerate())
    async with harness.opening() as manager:
        session = manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
        harness.clock.advance(3_300)  # a renewal begins in the background
        await session.inquiries.retrieve(inquiry.id)
        assert state_of_the_program() == before
    assert state_of_the_program() == before
    # The sandbox has tasks of its own, for each connection that is open.
    left = {task for task in asyncio.all_tasks() - tasks if "sandbox" not in str(task)}
    left = {task for task in left if "RequestHandler" not in str(task)}
    assert left == set()
    assert set(threading.enumerate()) <= threads


@pytest.mark.asyncio
async def test_code_source_runs_in_the_context_of_its_caller(harness):
    inquiry, seen = harness.sandbox.add_inquiry(), []
    async with harness.client(harness.sandbox.source) as source:

        async def ask_partner(scope):
            seen.append(USER.get())
            return await source.oauth.authorize(
                client_id=harness.sandbox.destination.id, scope=scope
            )

        async with harness.opening(codes=ask_partner) as manager:
            token = USER.set("ada")
            await manager.token(Scope.read(inquiry.id))
            USER.reset(token)
            assert USER.get() == "nobody"
    assert seen == ["ada"]


@pytest.mark.asyncio
async def test_hooks_run_in_the_context_of_the_call(harness):
    seen = []

    def hook(event):
        if isinstance(event, CallEnded):
            seen.append(USER.get())

    client = harness.client(harness.sandbox.source, hooks=[hook])
    async with client:

        async def call(name):
            USER.set(name)
            await client.rate_limits.list()

        await asyncio.gather(call("ada"), call("grace"))
    assert sorted(seen) == ["ada", "grace"]


@pytest.mark.asyncio
async def test_borrowed_session_is_unchanged_and_open(harness):
    async with aiohttp.ClientSession(headers={"X-Theirs": "1"}) as session:
        before = dict(session.headers), list(session.cookie_jar), session.timeout
        async with harness.client(harness.sandbox.source, http=session) as client:
            await client.rate_limits.list()
        assert not session.closed
        assert (
            dict(session.headers),
            list(session.cookie_jar),
            session.timeout,
        ) == before
        with contextlib.suppress(aiohttp.ClientResponseError):
            async with session.get(harness.sandbox.url) as response:
                assert response.status


def test_importing_it_configures_nothing():
    code = """
import logging, signal, asyncio, sys, threading
before = signal.getsignal(signal.SIGINT), len(logging.root.handlers), threading.active_count()
import persona_share
for name in persona_share.__all__: getattr(persona_share, name)
after = signal.getsignal(signal.SIGINT), len(logging.root.handlers), threading.active_count()
assert before == after
assert not logging.getLogger("persona_share").handlers
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)  # noqa: S603 - our own
