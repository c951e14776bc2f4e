"""The state of the tokens, for the health page of an application."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from persona_share.manager import ScopedTokenManager
from persona_share.model.batch import RateLimitStatus


_OK: Final = 200
_UNAVAILABLE: Final = 503
#: Failures that an operator can do something about. A partner's refusal is none.
_PROBLEMS: Final = {
    "AssertionRefusedError": "Persona refuses the client assertion",
    "CodeSourceError": "the code source fails",
    "ExchangeAuthenticationError": "Persona refuses the API key",
    "ExchangeForbiddenError": "OAuth is not enabled for this organization",
    "ExchangeProtocolError": "something other than Persona responds to exchanges",
    "ExchangeUnavailableError": "Persona does not respond to exchanges",
    "UnsupportedTokenTypeError": "something other than Persona responds to exchanges",
}


@attrs.frozen(kw_only=True)
class Health:
    """The tokens that are held, by state, and whether anything is wrong now.

    ``nearest_end`` is when the first token expires, in seconds. ``failures`` counts
    failed exchanges by the type of their error since the manager was made, ``failing``
    those since the last token. ``store_up`` is None without a store, or before its
    first use. ``problems`` says in words what is wrong.
    ``rate_limit`` is the limit of the service, and how many calls wait for it. No scope, id or secret is in it.
    """

    tokens: Mapping[str, int]
    nearest_end: float | None
    codes_waiting: int
    codes_per_token: float | None
    failures: Mapping[str, int]
    store_up: bool | None
    failing: Mapping[str, int] = attrs.field(factory=dict)
    problems: tuple[str, ...] = ()
    rate_limit: RateLimitStatus | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def status(self) -> int:
        """The HTTP status of a health page: 200, or 503 if something is wrong."""
        return _OK if self.ok else _UNAVAILABLE

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {"ok": self.ok, **attrs.asdict(self)}


def health_of(manager: ScopedTokenManager) -> Health:
    """Return the state of a manager, without any I/O."""
    metrics = manager.metrics()
    return Health(
        tokens=metrics.tokens,
        nearest_end=metrics.nearest_end,
        codes_waiting=metrics.codes_waiting,
        codes_per_token=metrics.codes_per_token,
        failures=metrics.failures,
        store_up=metrics.store_up,
        rate_limit=manager.context.rate_limit_status(),
        failing=metrics.failing,
        problems=_problems_of(metrics.failing, store_up=metrics.store_up),
    )


def _problems_of(
    failing: Mapping[str, int], *, store_up: bool | None
) -> tuple[str, ...]:
    """Return each problem once, in order."""
    found = [_PROBLEMS[kind] for kind in failing if kind in _PROBLEMS]
    if store_up is False:
        found.append("the token store does not respond")
    return tuple(dict.fromkeys(found))
