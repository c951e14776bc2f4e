"""The fixtures of the pytest plugin, for pytest-asyncio and for anyio's plugin.

A sandbox lives in the event loop of the test that uses it. So it is opened by whichever
plugin runs the test: pytest-asyncio, in the loop scope of that test, or anyio's.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import pytest

from persona_share.sandbox import Sandbox
from persona_share.testing.moving import MovingClock


_ANYIO: Final = "_persona_sandbox_under_anyio"
_ASYNCIO: Final = "_persona_sandbox_under_asyncio_{}"
_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")
_REGISTERED: Final = "persona_share.testing.fixtures of {}"


def sandbox_for(request: pytest.FixtureRequest) -> Sandbox:
    """Return a sandbox that is open while the requesting test runs."""
    if "anyio_backend" in request.fixturenames:
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            pytest.fail("persona_sandbox needs anyio's asyncio backend", pytrace=False)
        _register(request, "anyio", _for_anyio)
        return _value(request, _ANYIO)
    # A plugin's name depends on how it was loaded, its module's does not.
    running = "pytest_asyncio.plugin" in sys.modules
    if running and request.node.get_closest_marker("asyncio"):
        _register(request, "asyncio", _for_asyncio)
        return _value(request, _ASYNCIO.format(_loop_scope(request)))
    pytest.fail(
        "persona_sandbox needs a test that runs in an event loop: mark it for "
        "pytest-asyncio or for anyio's plugin",
        pytrace=False,
    )


async def _opened(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    marker = request.node.get_closest_marker("persona_sandbox")
    options = {} if marker is None else dict(marker.kwargs)
    clock: MovingClock | None = None
    if "persona_clock" in request.fixturenames:
        clock = request.getfixturevalue("persona_clock")
        options["_clock"] = clock.epoch
    async with Sandbox(**options) as box:
        # Moved by nothing, it still does what has fallen due by the clock.
        with clock.followed_by(lambda: box.advance(0)) if clock else nullcontext():
            yield box


def _register(request: pytest.FixtureRequest, runner: str, make: Any) -> None:
    plugins, name = request.config.pluginmanager, _REGISTERED.format(runner)
    if not plugins.hasplugin(name):
        plugins.register(make(), name)


def _for_anyio() -> ModuleType:
    found = ModuleType(_ANYIO)
    setattr(found, _ANYIO, pytest.fixture(_opened, name=_ANYIO))
    return found


def _for_asyncio() -> ModuleType:
    """Return a module with a fixture for each loop scope."""
    fixture = import_module("pytest_asyncio").fixture
    found = ModuleType(_ASYNCIO)
    for scope in _LOOP_SCOPES:

        async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
            async for box in _opened(request):
                yield box

        name = _ASYNCIO.format(scope)
        setattr(found, name, fixture(loop_scope=scope, name=name)(opened))
    return found


def _loop_scope(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker("asyncio")
    asked = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    default = request.config.getini("asyncio_default_test_loop_scope")
    return str(asked or default or "function")


def _value(request: pytest.FixtureRequest, name: str) -> Sandbox:
    box: Sandbox = request.getfixturevalue(name)
    return box
