"""The pytest plugin: fixtures that import nothing before they are used.

pytest loads this file in every run on a machine where the package is installed, so it
must cost nothing where it is not used.
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
        "persona_sandbox(**options): the options of the sandbox of persona_sandbox, "
        "such as token_lifetime=5 or rate_limit=None",
    )


@pytest.fixture
def persona_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """Open a local Persona for one test.

    It runs in the event loop of an asynchronous test, and in a thread for a test without
    one. With ``persona_clock`` in the same test it uses that clock.
    """
    from persona_share.testing.fixtures import sandbox_for

    return sandbox_for(request)


@pytest.fixture(scope="session")
def persona_sandbox_session() -> "Generator[Sandbox]":
    """Open a local Persona for the whole session, in a thread of its own.

    Its methods can be called from synchronous tests and session-scoped fixtures, such as
    those with ``fastapi.TestClient``. It has no rate limit. ``reset()`` returns to the
    state after the start.
    """
    from persona_share.testing.fixtures import session_sandbox

    yield from session_sandbox()


@pytest.fixture
def persona_clock() -> "Generator[MovingClock]":
    """Move time for the sandbox and for every client that the test makes.

    ``persona_clock.advance(3600)`` lets an hour pass at once.
    """
    from persona_share.testing.clock import moving_clock

    with moving_clock() as clock:
        yield clock


@pytest.fixture
def persona_canary() -> "Generator[Canary]":
    """Fail the test when a planted secret reaches a log, an error or a span.

    ``persona_canary.plant(secret)`` plants one; the sandbox's own are planted already.
    """
    from persona_share.testing.canary import Canary

    canary = Canary()
    with canary.watching_logs():
        yield canary
    canary.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Check the result of a test with a canary, and fail it for a leak."""
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
    if leak is not None:  # raised out here: the error that leaks is not shown beside it
        raise leak
    return result
