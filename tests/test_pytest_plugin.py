"""The fixtures of the pytest plugin, used in a separate project."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes


pytestmark = pytest.mark.slow  # each test starts programs


USES = '''
import asyncio
import pytest
from persona_share import PersonaClient, Scope, ScopedTokenManager


class Shared:
    """Everything that the destination's own code would make by itself."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        options = {"base_url": sandbox.url, "insecure_local": True}
        self.source = PersonaClient(sandbox.source.api_key, **options)
        self.client = PersonaClient(sandbox.destination.api_key, **options)
        self.manager = ScopedTokenManager(self.client, codes=self.ask_partner)

    async def ask_partner(self, scope):
        return await self.source.oauth.authorize(
            client_id=self.sandbox.destination.id, scope=scope
        )

    async def __aenter__(self):
        await self.source.__aenter__()
        await self.client.__aenter__()
        return await self.manager.__aenter__()

    async def __aexit__(self, *_):
        await self.manager.aclose()
        await self.client.aclose()
        await self.source.aclose()


@pytest.mark.RUNNER
async def test_a_sandbox_is_there(persona_sandbox):
    inquiry = persona_sandbox.add_inquiry()
    async with Shared(persona_sandbox) as manager:
        session = manager.session(Scope.read(inquiry.id))
        assert (await session.inquiries.retrieve(inquiry.id)).id == inquiry.id


@pytest.mark.RUNNER
async def test_an_hour_passes_for_both_sides(persona_sandbox, persona_clock):
    inquiry = persona_sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with Shared(persona_sandbox) as manager:
        for generation in (1, 2, 3):
            token = await manager.token(scope)
            assert token.generation == generation
            session = manager.session(scope)
            assert (await session.inquiries.retrieve(inquiry.id)).id == inquiry.id
            persona_clock.advance(3_600)
    assert persona_sandbox.log.tokens_issued == 3
    assert persona_sandbox.log.count(status=401) == 0


@pytest.mark.RUNNER
async def test_no_sleeper_waits_forever_under_the_clock(persona_sandbox, persona_clock):
    inquiry = persona_sandbox.add_inquiry()
    persona_sandbox.faults.answer("GET /inquiries/{inquiry-id}", 503, times=1)
    async with Shared(persona_sandbox) as manager:
        session = manager.session(Scope.read(inquiry.id))
        assert (await session.inquiries.retrieve(inquiry.id)).id == inquiry.id


@pytest.mark.RUNNER
@pytest.mark.persona_sandbox(token_lifetime=20, seed=7)
async def test_sandbox_is_created_with_the_options_of_its_marker(persona_sandbox):
    inquiry = persona_sandbox.add_inquiry()
    async with Shared(persona_sandbox) as manager:
        assert (await manager.token(Scope.read(inquiry.id))).lifetime == 19


@pytest.mark.RUNNER
async def test_nothing_leaks(persona_sandbox, persona_canary):
    inquiry = persona_sandbox.add_inquiry()
    async with Shared(persona_sandbox) as manager:
        await manager.token(Scope.read(inquiry.id))
'''

LOOPS = """
import asyncio
import pytest
from persona_share import PersonaClient


@pytest.mark.asyncio(loop_scope="module")
class TestInOneLoop:
    async def test_it_answers(self, persona_sandbox):
        inquiry = persona_sandbox.add_inquiry()
        async with PersonaClient(
            persona_sandbox.source.api_key,
            base_url=persona_sandbox.url,
            insecure_local=True,
        ) as client:
            assert (await client.inquiries.retrieve(inquiry.id)).id == inquiry.id


async def test_that_no_plugin_runs(persona_sandbox):
    pass
"""

IN_THREADS = """
import asyncio
import json
import urllib.request
import warnings
import pytest
from fastapi import FastAPI
from persona_share import PersonaClient

with warnings.catch_warnings(action="ignore"):  # it announces a successor of httpx
    from fastapi.testclient import TestClient


def get(sandbox, path):
    headers = {"Authorization": f"Bearer {sandbox.source.api_key}"}
    request = urllib.request.Request(sandbox.url + path, headers=headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@pytest.fixture(scope="session")
def known(persona_sandbox_session):
    return persona_sandbox_session.add_inquiry().id


@pytest.mark.persona_sandbox(rate_limit=None)
def test_a_synchronous_test(persona_sandbox):
    inquiry = persona_sandbox.add_inquiry().id
    assert get(persona_sandbox, f"/inquiries/{inquiry}")["data"]["id"] == inquiry
    assert persona_sandbox.log.count(status=200) == 1
    assert persona_sandbox.deliver_webhooks() == 0


def test_with_a_clock(persona_sandbox, persona_clock):
    persona_sandbox.switches.accepts_after = 60
    before = persona_sandbox.now()
    persona_clock.advance(3600)
    assert persona_sandbox.now() - before >= 3600


def test_the_session_has_one(persona_sandbox_session, known):
    assert get(persona_sandbox_session, f"/inquiries/{known}")["data"]["id"] == known


def test_in_a_web_application(persona_sandbox_session, known):
    application = FastAPI()
    sandbox = persona_sandbox_session

    @application.get("/status")
    async def status():
        options = {"base_url": sandbox.url, "insecure_local": True}
        async with PersonaClient(sandbox.source.api_key, **options) as client:
            return {"status": (await client.inquiries.retrieve(known)).status}

    with TestClient(application) as browser:
        assert browser.get("/status").json() == {"status": "completed"}
    sandbox.reset()
    assert get(sandbox, "/inquiries")["data"] == []
"""

MARKED_FOR_ANYIO = """
import pytest
from persona_share import PersonaClient


@pytest.mark.anyio
async def test_it(persona_sandbox):
    options = {"base_url": persona_sandbox.url, "insecure_local": True, "timeout": 5}
    async with PersonaClient(persona_sandbox.source.api_key, **options) as client:
        assert (await client.inquiries.list()).items == []
"""

LEAKS = """
import logging
import pytest


def test_in_a_log(persona_canary):
    secret = persona_canary.plant("planted-7c1e-secret")
    logging.getLogger("theirs").debug("the token is %s", secret)


def test_in_an_error(persona_canary):
    secret = persona_canary.plant("planted-7c1e-secret")
    raise RuntimeError(secret)


def test_in_an_error_that_was_logged(persona_canary):
    secret = persona_canary.plant("planted-7c1e-secret")
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        logging.getLogger("theirs").exception("it failed")


def test_a_credential_of_a_sandbox(persona_canary):
    logging.getLogger("theirs").warning("Bearer localbox_production_1")


def test_in_a_span(persona_canary):
    from opentelemetry.sdk import trace

    secret = persona_canary.plant("planted-7c1e-secret")
    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(persona_canary.span_processor())
    with provider.get_tracer("theirs").start_as_current_span("work") as span:
        span.set_attribute("token", secret)


@pytest.fixture
def careless(persona_canary):
    yield persona_canary.plant("planted-7c1e-secret")
    logging.getLogger("theirs").info("planted-7c1e-secret")


def test_after_the_test(careless):
    pass


def test_error_without_a_secret_is_unchanged(persona_canary):
    persona_canary.plant("planted-7c1e-secret")
    assert 1 == 2


def test_a_secret_that_nobody_shows(persona_canary):
    persona_canary.plant("planted-7c1e-secret")
    logging.getLogger("theirs").info("all is well")
"""


PYTEST = Path(pytest.__file__).with_name("__main__.py")
OURS = ("-p", "persona_share.pytest_plugin")
RUNNERS = {"asyncio": "pytest_asyncio.plugin", "anyio": "anyio.pytest_plugin"}


@pytest.fixture
def project(pytester, monkeypatch):
    """Return an empty project with only the plugins that it names."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\n")  # the folder may be inside this checkout
    pytester.makeconftest(
        "import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    )
    return pytester


def run(project, source, *options, runner="asyncio"):
    """Run a file of tests in a new process, under one runner of coroutines."""
    project.makepyfile(source)
    ours = [*OURS, "-p", RUNNERS[runner], "-W", "error", "--basetemp=base", *options]
    if runner == "asyncio":
        ours += ["-o", "asyncio_default_fixture_loop_scope=function"]
    ended = processes.run(PYTEST, *ours, env=dict(os.environ), cwd=project.path)
    lines = ended.out.splitlines(), ended.err.splitlines()
    return pytest.RunResult(ended.code, *lines, duration=0.0)


@pytest.mark.parametrize("runner", RUNNERS)
def test_fixtures_work_under_each_runner_of_coroutines(project, runner):
    result = run(project, USES.replace("RUNNER", runner), runner=runner)
    result.assert_outcomes(passed=5)


def test_sandbox_runs_in_the_loop_of_its_test(project):
    result = run(project, LOOPS)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs a runner for this asynchronous test*"])


def test_sandbox_runs_in_a_thread_for_tests_without_a_loop(project):
    result = run(project, IN_THREADS)
    result.assert_outcomes(passed=4)


def test_mark_for_anyio_fails_at_once_when_pytest_asyncio_is_in_auto_mode(project):
    both = ("-p", RUNNERS["anyio"], "-o", "asyncio_mode=auto")
    result = run(project, MARKED_FOR_ANYIO, *both)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Remove the anyio mark, or set asyncio_mode*"])


def test_canary_fails_a_test_without_repeating_the_secret(project):
    result = run(project, LEAKS, "--tb=long", "-rN")
    result.assert_outcomes(failed=6, passed=2, errors=1)
    for place in ("the log theirs", "the error RuntimeError", "the span work"):
        result.stdout.fnmatch_lines([f"*a planted secret reached {place}*"])
    error_lines = [line for line in result.outlines if line.startswith("E ")]
    assert error_lines
    assert not any("planted-7c1e" in line for line in error_lines)


def test_plugin_imports_nothing_before_a_fixture_is_used():
    code = """
import sys, pytest
before = set(sys.modules)
import persona_share.pytest_plugin
new = {name for name in set(sys.modules) - before}
names = ("persona_share", "persona_share._lazy", "persona_share.pytest_plugin")
print(sorted(new.difference(names)))
"""
    command = [sys.executable, "-c", code]
    found = subprocess.check_output(command, text=True).strip()  # noqa: S603 - our own
    assert found == "[]"
