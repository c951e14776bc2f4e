"""Test helpers, for users of the library and for its own tests.

Replacements for the clock, the network and a store. They patch nothing: each is passed
where the real part would be. The replacement for the service itself is the `sandbox`.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from persona_share.testing.canary import Canary, LeakError
    from persona_share.testing.clock import (
        FakeClock,
        MovingClock,
        fake_runtime,
        moving_clock,
    )
    from persona_share.testing.factories import (
        access_token,
        authorization_code,
        delivery,
        resource,
        response,
    )
    from persona_share.testing.http import (
        ScriptedSender,
        aioresponses_compat,
        vcr_options,
    )

__all__ = [
    "Canary",
    "FakeClock",
    "LeakError",
    "MovingClock",
    "ScriptedSender",
    "access_token",
    "aioresponses_compat",
    "authorization_code",
    "delivery",
    "fake_runtime",
    "moving_clock",
    "resource",
    "response",
    "vcr_options",
]

_FILE_OF = {
    "Canary": "canary",
    "FakeClock": "clock",
    "LeakError": "canary",
    "MovingClock": "clock",
    "ScriptedSender": "http",
    "access_token": "factories",
    "aioresponses_compat": "http",
    "authorization_code": "factories",
    "delivery": "factories",
    "fake_runtime": "clock",
    "moving_clock": "clock",
    "resource": "factories",
    "response": "factories",
    "vcr_options": "http",
}


if not TYPE_CHECKING:  # a type checker would otherwise accept any name

    def __getattr__(name: str) -> object:
        """Import a name when it is first used."""
        if name not in _FILE_OF:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
