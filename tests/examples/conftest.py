"""A sandbox, the partner's service of the examples, and what runs a program there."""

import asyncio
import importlib.util
import os
import socket
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import attrs
import pytest_asyncio
from aiohttp.test_utils import TestServer

from persona_share.sandbox import Sandbox


EXAMPLES = Path(__file__).parents[2] / "examples"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@attrs.define
class Programs:
    """The programs of the examples, each a process of its own."""

    box: Sandbox
    partner_url: str
    folder: Path

    def environment(self, side):
        return os.environ | {
            "PERSONA_API_KEY": side.api_key,
            "PERSONA_BASE_URL": self.box.url,
            "PARTNER": self.box.destination.id,
            "PARTNER_SECRET": "a password of both sides",
            "PARTNER_URL": self.partner_url,
            "TOKENS": str(self.folder / "tokens.sqlite"),
            "PYTHONUNBUFFERED": "1",
        }

    async def run(self, *command, side=None, stdin=""):
        """Run a program to its end; answer its code and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=EXAMPLES,
            env=self.environment(side or self.box.destination),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, told = await process.communicate(stdin.encode())
        return process.returncode, out.decode(), told.decode()

    @asynccontextmanager
    async def serving(self, *command, port, side=None):
        """Run a server until the block ends; answer its URL once it listens."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=EXAMPLES,
            env=self.environment(side or self.box.destination),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            async with asyncio.timeout(60):
                while not await listens(url):
                    assert process.returncode is None, await process.stderr.read()
                    # There is no clock here that could be moved: it is a process.
                    await asyncio.sleep(0.05)  # noqa: TID251
            yield url
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.communicate()


async def listens(url):
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(url):
                return True
        except aiohttp.ClientError:
            return False


#: So short that tokens end and are renewed while a test looks.
SHORT = {"token_lifetime": 6}


def program(name):
    """Answer an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest_asyncio.fixture
async def programs(tmp_path, monkeypatch):
    async with Sandbox(rate_limit=None, **SHORT) as box:
        programs = Programs(box, "", tmp_path)
        for name, value in programs.environment(box.source).items():
            monkeypatch.setenv(name, value)
        partner = TestServer(program("partner").application())
        async with partner:
            programs.partner_url = str(partner.make_url("")).rstrip("/")
            yield programs
