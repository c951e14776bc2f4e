"""A sandbox, the partner service of the examples, and processes for the programs."""

import asyncio
import importlib.util
import json
import os
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import attrs
import pytest_asyncio
from aiohttp.test_utils import TestServer

from persona_share.partner import Consents, SigningKey
from persona_share.partner.applications import free_port
from persona_share.sandbox import Sandbox
from persona_share.stores import SQLiteStore
from tests import processes


EXAMPLES = Path(__file__).parents[2] / "examples"
#: Short enough that tokens expire and are refreshed during a test.
SHORT = {"token_lifetime": 6}
AGREEMENT = """
[[agreement]]
partner = "{partner}"
keys_file = "partner.json"
permissions = ["inquiry.read"]
valid_from = 2020-01-01
valid_until = 2120-01-01
"""


@attrs.define
class Programs:
    """Runs the examples, each in its own process, in a temporary folder."""

    sandbox: Sandbox
    folder: Path
    partner_url: str = ""

    def environment(self, side=None):
        side = side or self.sandbox.destination
        return os.environ | {
            "PERSONA_API_KEY": side.api_key,
            "PERSONA_BASE_URL": self.sandbox.url,
            "PERSONA_INSECURE_LOCAL": "1",
            "PERSONA_ORGANIZATION_ID": self.sandbox.destination.id,
            "PERSONA_PARTNER_KEY_FILE": "partner.key",
            "PERSONA_PARTNER_URL": self.partner_url,
            "PYTHONUNBUFFERED": "1",
        }

    def prepare(self):
        """Write the key and agreement files of both organizations."""
        key = SigningKey.generate()
        path = self.folder / "partner.key"
        path.touch(0o600)
        path.write_text(key.private_jwk().reveal(), "utf-8")
        (self.folder / "partner.json").write_text(json.dumps(key.public_jwk), "utf-8")
        table = AGREEMENT.format(partner=self.sandbox.destination.id)
        (self.folder / "agreements.toml").write_text(table, "utf-8")

    async def shared(self, count=1):
        """Return the ids of inquiries that the partner may read."""
        ids = [self.sandbox.add_inquiry(status="approved").id for _ in range(count)]
        until = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251 — as a program does
        async with Consents(SQLiteStore(self.folder / "partner.db")) as consents:
            for each in ids:
                scope = f"inquiry.read:{each}"
                await consents.grant(
                    self.sandbox.destination.id, scope, until=until, by="form-1"
                )
        return ids

    async def start(self, *command, side=None, **environment):
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=self.folder,
            env=self.environment(side) | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, name, *arguments, side=None, stdin=""):
        """Run a program to its end; return its exit code and what it printed."""
        options = {"env": self.environment(side), "stdin": stdin, "cwd": self.folder}
        ended = await asyncio.to_thread(
            processes.run, EXAMPLES / name, *arguments, **options
        )
        return ended.code, ended.out, ended.err

    @asynccontextmanager
    async def serving(self, *command, port, **environment):
        """Run a server until the block ends; yield its URL once it listens."""
        process = await self.start(*command, **environment)
        url = f"http://127.0.0.1:{port}"
        try:
            async with asyncio.timeout(60):
                while not await listens(url):
                    assert process.returncode is None, await process.stderr.read()
                    # Real time: a test cannot advance the clock of another process.
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


def program(name):
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest_asyncio.fixture
async def programs(tmp_path, monkeypatch):
    async with Sandbox(rate_limit=None, **SHORT) as sandbox:
        port = free_port()
        programs = Programs(sandbox, tmp_path, f"http://127.0.0.1:{port}/codes")
        programs.prepare()
        monkeypatch.chdir(tmp_path)
        for name, value in programs.environment(sandbox.source).items():
            monkeypatch.setenv(name, value)
        # Only the address that partners sign and the server differ in a test.
        source = (EXAMPLES / "partner.py").read_text("utf-8")
        names = {}
        code = source.replace("http://127.0.0.1:8480/codes", programs.partner_url)
        code = code.replace(".asgi()", ".aiohttp()")
        exec(compile(code, "partner.py", "exec"), names)  # noqa: S102 — our own
        async with TestServer(names["app"], port=port):
            yield programs
