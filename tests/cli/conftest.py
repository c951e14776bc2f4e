"""The installed command in its own process, and a sandbox in a thread."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import attrs
import pytest

from persona_share.sandbox import Sandbox
from tests.processes import LONGEST, CompletedProcess, run


#: The command as pip installs it, beside the interpreter.
COMMAND = str(Path(sys.executable).with_name("persona-share"))


@attrs.define
class Cli:
    sandbox: Sandbox
    env: dict
    command: str = COMMAND

    def start(self, *arguments, env=None, **options):
        """Start the command; the caller stops it."""
        return subprocess.Popen(  # noqa: S603  # it is our own command
            [COMMAND, *arguments],
            env=self.environment(env),
            **{"stdin": subprocess.DEVNULL, **options},
        )

    def __call__(self, *arguments, stdin=None, env=None):
        """Run the command to its end."""
        return run(COMMAND, *arguments, stdin=stdin, env=self.environment(env))

    def installed(self, *arguments, env=None):
        """Run the command to its end, as the system starts it."""
        process = self.start(
            *arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = process.communicate(timeout=LONGEST)
        return CompletedProcess(process.returncode, out.decode(), err.decode())

    def environment(self, changes):
        """Return the environment with some values replaced, or removed by None."""
        both = {**self.env, **(changes or {})}
        return {name: value for name, value in both.items() if value is not None}

    def inquiries(self, count):
        """Create inquiries and return their ids."""
        return [self.sandbox.add_inquiry().id for _ in range(count)]


@pytest.fixture(scope="module")
def running_sandbox():
    """Run one sandbox for all tests of a file."""
    sandbox = Sandbox(rate_limit=None)
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    ready = threading.Event()

    async def serve():
        async with sandbox:
            ready.set()
            await stopped.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(30)
    yield sandbox
    loop.call_soon_threadsafe(stopped.set)
    thread.join(30)
    loop.close()


@pytest.fixture
def sandbox(running_sandbox):
    """Return the sandbox, without faults and with an empty log."""
    running_sandbox.faults.clear()
    running_sandbox.log.clear()
    running_sandbox.latency = 0.0
    return running_sandbox


@pytest.fixture
def cli(sandbox):
    """Return the command with the credentials of the destination organization."""
    return Cli(
        sandbox,
        {
            "PATH": os.environ["PATH"],
            "PERSONA_API_KEY": sandbox.destination.api_key,
            "PERSONA_SOURCE_API_KEY": sandbox.source.api_key,
            "PERSONA_BASE_URL": sandbox.url,
            "PERSONA_INSECURE_LOCAL": "1",
        },
    )


@pytest.fixture
def sharing(sandbox):
    """Return the options for codes from the source's own API key."""
    return ("--client-id", sandbox.destination.id)


@pytest.fixture
def as_source(sandbox):
    """Return the environment of the source organization."""
    return {"PERSONA_API_KEY": sandbox.source.api_key}
