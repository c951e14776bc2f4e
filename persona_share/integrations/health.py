"""The health of a manager's tokens, and an active check of the whole setup."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import attrs

from persona_share._protocol.limits import parsed_date
from persona_share.client import PersonaClient
from persona_share.errors import ExchangeForbiddenError, PersonaError, TokenError
from persona_share.manager import ScopedTokenManager
from persona_share.model.batch import RateLimitStatus
from persona_share.ports import Store


_OK: Final = 200
_UNAVAILABLE: Final = 503
#: Failures that an operator can fix. A partner's refusal is not one of them.
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
    """The cached tokens by state, and the current problems.

    ``nearest_end`` is the shortest remaining lifetime of a token in seconds.
    ``failures`` counts failed exchanges by the type of their error since the manager
    was created, ``failing`` those since the last token. ``store_up`` is None without a
    store, or before its first use. ``problems`` describes each problem in words.
    ``rate_limit`` is the limit of the service, with the number of waiting calls.
    Nothing in it is secret, and it contains no scopes or ids.
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
        """Whether there are no problems."""
        return not self.problems

    @property
    def status(self) -> int:
        """The HTTP status of a health endpoint: 200, or 503 if there is a problem."""
        return _OK if self.ok else _UNAVAILABLE

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types."""
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


# ── The active check ────────────────────────────────────────────────────────────

#: In seconds. Signatures and assertions are refused if clocks differ by a few minutes.
_MAX_CLOCK_SKEW: Final = 30.0
_SERVER_ERROR: Final = 500


@attrs.frozen
class Finding:
    """The result of one check; ``error`` is the reason if it failed."""

    name: str
    state: Literal["ok", "warning", "bad"]
    what: str
    advice: str = ""
    error: PersonaError | None = attrs.field(default=None, repr=False)


class Checkable(Protocol):
    """An object with a self-check, such as a `PartnerCodeSource`."""

    async def check(self) -> None:
        """Raise a `PersonaError` if there is a problem."""
        ...


async def diagnose(
    client: PersonaClient,
    *,
    store: Store | None = None,
    partner: Checkable | None = None,
) -> list[Finding]:
    """Check the API key, the clock, the rate limit, OAuth, the store and the partner.

    This sends two requests to Persona and one to the partner; no code is spent. The
    command ``persona-share doctor`` does the same. Do not call it in a health endpoint:
    use `health_of`, which does no I/O.
    """
    findings = await _check_service(client)
    if store is not None:
        findings.append(await _check_store(store))
    if partner is not None:
        findings.append(await _check_partner(partner))
    return findings


async def _check_service(client: PersonaClient) -> list[Finding]:
    try:
        page = await client.rate_limits.list()
    except PersonaError as error:
        return [_failed("service", error)]
    now = client.context.runtime.clock.wall()
    findings = [
        Finding("service", "ok", "it responds and accepts the key"),
        _check_clock(page.response_info.date, now),
    ]
    for each in page.items:
        what = f"{each.remaining} of {each.limit} requests per minute are left"
        low = bool(each.limit) and (each.remaining or 0) * 10 < (each.limit or 0)
        findings.append(Finding("limit", "warning" if low else "ok", what))
    return [*findings, await _check_oauth(client)]


def _check_clock(date: str | None, now: datetime) -> Finding:
    service_time = parsed_date(date or "")
    if service_time is None:
        return Finding("clock", "warning", "the service does not send its time")
    skew = abs((now - service_time).total_seconds())
    if skew > _MAX_CLOCK_SKEW:
        advice = "Set it (NTP): webhooks and assertions depend on it."
        return Finding("clock", "bad", f"off by {skew:.0f} s", advice)
    return Finding("clock", "ok", "agrees with the service's")


async def _check_oauth(client: PersonaClient) -> Finding:
    # A new code each time: for the same code the service replays its last response.
    code = f"persona-share-doctor-{client.context.runtime.new_key()}"
    try:
        async with ScopedTokenManager(client) as manager:
            await manager.exchange(code)
    except ExchangeForbiddenError as error:
        return Finding("oauth", "bad", "not enabled (403)", error.advice, error)
    except TokenError as error:
        if error.status is not None and error.status >= _SERVER_ERROR:
            return _failed("oauth", error)
    except PersonaError as error:
        return _failed("oauth", error)
    return Finding("oauth", "ok", "enabled for this organization")


async def _check_store(store: Store) -> Finding:
    try:
        await store.open()
        await store.aclose()
    except PersonaError as error:
        return _failed("store", error)
    return Finding("store", "ok", "it can be reached")


async def _check_partner(partner: Checkable) -> Finding:
    try:
        await partner.check()
    except PersonaError as error:
        return _failed("partner", error)
    return Finding("partner", "ok", "it accepts this organization's key")


def _failed(name: str, error: PersonaError) -> Finding:
    return Finding(name, "bad", error.what, error.advice, error)
