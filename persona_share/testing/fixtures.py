"""The sandbox fixtures of the pytest plugin, for each plugin that runs async tests.

A sandbox runs in the event loop of its test. The plugin that runs the test owns this
loop: pytest-asyncio, in the loop scope of the test, or anyio. The sandbox of a test
without an event loop runs in a thread.
"""

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any, Final, cast

import pytest

from persona_share.sandbox import Sandbox
from persona_share.testing.clock import MovingClock


_ANYIO: Final = "_persona_sandbox_under_anyio"
_ASYNCIO: Final = "_persona_sandbox_under_asyncio_{}"
#: With both plugins, the test and its fixtures would run in different event loops.
_BOTH_PLUGINS: Final = (
    "this test is marked for anyio, but pytest-asyncio runs it as well: its mode is auto. "
    "Remove the anyio mark, or set asyncio_mode = strict"
)
_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")
_REGISTERED: Final = "persona_share.testing.fixtures of {}"


def sandbox_for(request: pytest.FixtureRequest) -> Sandbox:
    """Return a sandbox that is open while the test of this request runs."""
    if _runs_in_pytest_asyncio(request):
        if "anyio_backend" in request.fixturenames:
            pytest.fail(_BOTH_PLUGINS, pytrace=False)
        _register(request, "asyncio", _for_asyncio)
        return _value(request, _ASYNCIO.format(_loop_scope(request)))
    if "anyio_backend" in request.fixturenames:
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            pytest.fail("persona_sandbox needs anyio's asyncio backend", pytrace=False)
        _register(request, "anyio", _for_anyio)
        return _value(request, _ANYIO)
    if not inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        return _in_background(request)
    pytest.fail(
        "persona_sandbox needs a runner for this asynchronous test: mark it for "
        "pytest-asyncio or for anyio's plugin",
        pytrace=False,
    )


def _runs_in_pytest_asyncio(request: pytest.FixtureRequest) -> bool:
    """Return whether pytest-asyncio runs the test, by its mark or in auto mode."""
    # Unlike the name of the plugin, the name of its module does not depend on how it was
    # loaded.
    plugin = sys.modules.get("pytest_asyncio.plugin")
    if plugin is None:
        return False
    item = getattr(plugin, "PytestAsyncioFunction", ())
    marked = request.node.get_closest_marker("asyncio") is not None
    return marked or isinstance(request.node, item)


def _in_background(request: pytest.FixtureRequest) -> Sandbox:
    options, clock = _options(request)
    stack = ExitStack()
    request.addfinalizer(stack.close)
    sandbox = stack.enter_context(background_sandbox(**options))
    if clock is not None:
        stack.enter_context(clock.followed_by(lambda: sandbox.advance(0)))
    return sandbox


def session_sandbox() -> Iterator[Sandbox]:
    """Run a sandbox without a rate limit for the whole session, in a thread."""
    with background_sandbox(rate_limit=None) as sandbox:
        yield sandbox


def _options(
    request: pytest.FixtureRequest,
) -> tuple[dict[str, Any], MovingClock | None]:
    marker = request.node.get_closest_marker("persona_sandbox")
    options = {} if marker is None else dict(marker.kwargs)
    clock: MovingClock | None = None
    if "persona_clock" in request.fixturenames:
        clock = request.getfixturevalue("persona_clock")
        options["_clock"] = clock.epoch
    return options, clock


async def _opened(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    options, clock = _options(request)
    async with Sandbox(**options) as sandbox:
        # When the test's clock advances, the sandbox runs its due callbacks.
        with clock.followed_by(lambda: sandbox.advance(0)) if clock else nullcontext():
            yield sandbox


def _register(request: pytest.FixtureRequest, runner: str, make: Any) -> None:
    plugins, name = request.config.pluginmanager, _REGISTERED.format(runner)
    if not plugins.hasplugin(name):
        plugins.register(make(), name)


def _for_anyio() -> ModuleType:
    found = ModuleType(_ANYIO)
    setattr(found, _ANYIO, pytest.fixture(_opened, name=_ANYIO))
    return found


def _for_asyncio() -> ModuleType:
    """Return a plugin with a fixture for each loop scope that a test may have."""
    fixture = import_module("pytest_asyncio").fixture
    found = ModuleType(_ASYNCIO)
    for scope in _LOOP_SCOPES:

        async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
            async for sandbox in _opened(request):
                yield sandbox

        name = _ASYNCIO.format(scope)
        setattr(found, name, fixture(loop_scope=scope, name=name)(opened))
    return found


def _loop_scope(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker("asyncio")
    requested = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    default = request.config.getini("asyncio_default_test_loop_scope")
    return str(requested or default or "function")


def _value(request: pytest.FixtureRequest, name: str) -> Sandbox:
    sandbox: Sandbox = request.getfixturevalue(name)
    return sandbox


# ── A sandbox in a thread, for tests without an event loop ────────────────────


#: The time limit in seconds to start the sandbox, to stop it, and to run one call.
_TIMEOUT: Final = 30.0


class _SandboxInThread:
    """Runs every method of a sandbox in the sandbox's own event loop."""

    def __init__(self, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self._sandbox = sandbox
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._sandbox, name)
        return self._in_loop(value) if inspect.ismethod(value) else value

    def _in_loop(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that waits for the result of another thread."""

        def call(*args: Any, **kwargs: Any) -> Any:
            async def run() -> Any:
                result = method(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            future = asyncio.run_coroutine_threadsafe(run(), self._loop)
            return future.result(_TIMEOUT)

        return call


@contextmanager
def background_sandbox(**options: Any) -> Iterator[Sandbox]:
    """Run a sandbox in a thread while the block runs.

    Its methods can be called from any thread and without ``await``; coroutine methods
    return their result.

    Raises:
        ConfigurationError: for invalid options.
    """
    started: Future[tuple[Sandbox, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        async with Sandbox(**options) as sandbox:
            started.set_result((sandbox, asyncio.get_running_loop(), stop))
            await stop.wait()

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    worker = threading.Thread(target=thread, name="persona-sandbox", daemon=True)
    worker.start()
    sandbox, loop, stop = started.result(_TIMEOUT)
    try:
        yield cast("Sandbox", _SandboxInThread(sandbox, loop))
    finally:
        loop.call_soon_threadsafe(stop.set)
        worker.join(_TIMEOUT)
