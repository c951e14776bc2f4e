"""Test helpers, for users of the library and for its own tests.

They replace the clock, the network or a store. They patch nothing: pass them where the
real object would be passed. The `sandbox` replaces the service.
"""

from typing import TYPE_CHECKING

from persona_share._lazy import lazy_names


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

if not TYPE_CHECKING:  # a type checker would accept any name of the package
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            ".canary": "Canary LeakError",
            ".clock": "FakeClock MovingClock fake_runtime moving_clock",
            ".factories": "access_token authorization_code delivery resource response",
            ".http": "ScriptedSender aioresponses_compat vcr_options",
        },
    )
