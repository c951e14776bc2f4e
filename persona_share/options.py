"""What a client is told when it is made: validated once, then never changed."""

import warnings
from typing import Final, cast

import attrs

from persona_share._protocol import versions
from persona_share.errors import ConfigurationError
from persona_share.model.policy import (
    Pool,
    RateLimitMode,
    RateLimitPolicy,
    RetryPolicy,
    Timeouts,
)
from persona_share.ports import SharedWindow


DEFAULT_VERSION: Final = versions.DEFAULT
LONGEST_CALL: Final = 100.0

#: From the warning to the line that made the client.
_TO_THE_CALLER: Final = 4


def _a_version(_: object, __: object, value: str) -> None:
    if not versions.is_date(value):
        raise ConfigurationError(versions.NO_DATE)
    if (doubt := versions.doubt_about(value)) is not None:
        warnings.warn(doubt, UserWarning, stacklevel=_TO_THE_CALLER)


def _positive(_: object, field: "attrs.Attribute[float]", value: object) -> None:
    match value:
        case bool():
            good = False
        case int() | float():
            good = value > 0
        case _:
            good = False
    if not good:
        message = f"{field.name} must be a number of seconds above 0"
        raise ConfigurationError(message)


def _pacing(value: object) -> RateLimitPolicy | SharedWindow:
    if isinstance(value, RateLimitPolicy):
        return value
    if hasattr(value, "take"):
        return cast("SharedWindow", value)
    for mode in RateLimitMode:
        if value == mode:
            return RateLimitPolicy(mode=mode)
    modes = ", ".join(RateLimitMode)
    message = f"pacing must be one of {modes}, or a RateLimitPolicy, or stores.Shared"
    raise ConfigurationError(message)


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of one client. ``timeout`` is for a whole call, in seconds."""

    persona_version: str = attrs.field(default=DEFAULT_VERSION, validator=_a_version)
    timeout: float = attrs.field(default=LONGEST_CALL, validator=_positive)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    pacing: RateLimitPolicy | SharedWindow = attrs.field(
        factory=RateLimitPolicy, converter=_pacing
    )
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    pool: Pool = attrs.field(factory=Pool)

    def headers(self) -> dict[str, str]:
        """Answer the headers of every request; the casing is always asked for."""
        return {
            "Accept": "application/json",
            "Key-Inflection": "kebab",
            "Persona-Version": self.persona_version,
        }
