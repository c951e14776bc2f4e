"""The pytest plugin: fixtures that import nothing before they are used.

pytest loads this module in every run if the package is installed, so importing it must
be cheap.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from persona_share.sandbox import Sandbox
    from persona_share.testing.canary import Canary
    from persona_share.testing.clock import MovingClock


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "persona_sandbox(**options): the options of the fixture's sandbox, "
        "such as token_lifetime=5 or rate_limit=None",
    )


@pytest.fixture
def persona_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """Open a local Persona for one test.

    The sandbox runs in the event loop of an asynchronous test, or in a thread. If the
    test uses ``persona_clock``, the sandbox uses that clock.
    """
    from persona_share.testing.fixtures import sandbox_for

    return sandbox_for(request)


@pytest.fixture(scope="session")
def persona_sandbox_session() -> "Generator[Sandbox]":
    """Open a local Persona for the whole session, in its own thread.

    Its methods can be called from synchronous tests and session-scoped fixtures, such as
    those with ``fastapi.TestClient``. It has no rate limit. ``reset()`` restores its
    initial state.
    """
    from persona_share.testing.fixtures import session_sandbox

    yield from session_sandbox()


@pytest.fixture
def persona_clock() -> "Generator[MovingClock]":
    """Control the time of the sandbox and of every client that the test creates.

    ``persona_clock.advance(3600)`` advances it by an hour.
    """
    from persona_share.testing.clock import moving_clock

    with moving_clock() as clock:
        yield clock


@pytest.fixture
def persona_canary() -> "Generator[Canary]":
    """Fail the test if a planted secret appears in a log record, an error or a span.

    ``persona_canary.plant(secret)`` plants one. The sandbox's credentials are always
    searched for.
    """
    from persona_share.testing.canary import Canary

    canary = Canary()
    with canary.watching_logs():
        yield canary
    canary.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test with a canary if its exception leaks a secret."""
    canary: Canary | None = getattr(item, "funcargs", {}).get("persona_canary")
    if canary is None:
        return (yield)
    result = None
    try:
        result = yield
    except (Exception, pytest.fail.Exception) as error:
        canary.look_at_error(error)
        if (leak := canary.found()) is None:
            raise
    else:
        leak = canary.found()
    if leak is not None:  # raised here, so that the leaking error is not its context
        raise leak
    return result
