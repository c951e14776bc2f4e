"""Authenticated: adds the credential, and acquires a slot of the rate limit."""

from typing import Final

import attrs

from persona_share._pipeline.rate_limiter import RateLimiter, was_unsent
from persona_share._policy.rate_limit import Slot
from persona_share._protocol.errors import attempts_of
from persona_share._protocol.http import Request, Response
from persona_share.errors import Attempt, ConfigurationError, PersonaError
from persona_share.model.secret import MaskedText, Secret
from persona_share.ports import MAX_REPLAYS, Authorization, CredentialSource, Sender


_UNAUTHORIZED: Final = 401
# After a shorter wait for a slot, in seconds, the credential is not checked again.
_STILL_USABLE: Final = 1.0


class Authenticated:
    """Adds the Authorization header; after a 401 its source decides what to do.

    The credential is acquired before the slot, so no slot is held while a token is
    acquired. A replay is the same request with the same idempotency key, because the
    service does not store a 401 under it. Without a ``limiter`` no call waits for the
    rate limit; calls with ``priority`` are admitted before all others.
    """

    def __init__(
        self,
        inner: Sender,
        source: CredentialSource,
        limiter: RateLimiter | None = None,
        *,
        priority: bool = False,
    ) -> None:
        self._inner = inner
        self._source = source
        self._limiter = limiter
        self._priority = priority

    async def send(self, request: Request) -> Response:
        """Send with a credential, and at most twice more after a 401.

        Raises:
            TokenError: there is no credential for this request.
            RateLimitedError: no slot comes before the deadline; nothing was sent.
        """
        authorization = self._source.cached()
        if authorization is None:
            authorization = await self._source.get(request.deadline)
        authorization, response = await self._send(request, authorization)
        if response.status != _UNAUTHORIZED:
            if response.ok:
                self._source.on_success(authorization, request.route)
            return response
        return await self._replayed(request, authorization, response)

    async def _send(
        self, request: Request, authorization: Authorization
    ) -> tuple[Authorization, Response]:
        """Send once, and return the credential that was used with the response."""
        limiter = self._limiter
        if limiter is None:
            return authorization, await self._inner.send(
                _authorized(request, authorization)
            )
        slot = limiter.try_acquire(priority=self._priority)
        if slot is None:
            authorization, slot = await self._wait(limiter, request, authorization)
        try:
            response = await self._inner.send(_authorized(request, authorization))
        except BaseException as error:
            limiter.release(slot, sent=not was_unsent(error))
            raise
        limiter.responded(slot, response)
        return authorization, response

    async def _wait(
        self, limiter: RateLimiter, request: Request, authorization: Authorization
    ) -> tuple[Authorization, Slot]:
        """Wait for a slot, and acquire another token if this one expires while waiting."""
        priority = self._priority
        while True:
            acquired = limiter.now()
            slot = await limiter.acquire(request, priority=priority)
            if limiter.now() - acquired < _STILL_USABLE:
                return authorization, slot
            current = self._source.cached()
            if current is not None:
                return current, slot
            limiter.release(slot, sent=False)
            # A token that is due is returned at once; only an expired one is waited for.
            authorization = await self._source.get(request.deadline)
            priority = True

    async def _replayed(
        self, request: Request, authorization: Authorization, response: Response
    ) -> Response:
        trail: list[Attempt] = []
        deadline = request.deadline
        for refusals in range(1, MAX_REPLAYS + 1):
            trail.extend(attempts_of(request, response))
            another = await self._source.on_unauthorized(
                authorization, refusals, deadline, request.route
            )
            if another is None:
                return attrs.evolve(response, attempts=tuple(trail))
            try:
                authorization, response = await self._send(request, another)
            except PersonaError as error:
                error.attempts = (*trail, *error.attempts)
                raise
            if response.status != _UNAUTHORIZED:
                if response.ok:
                    self._source.on_success(authorization, request.route)
                break
        attempts = (*trail, *attempts_of(request, response))
        return attrs.evolve(response, attempts=attempts)


def _authorized(request: Request, authorization: Authorization) -> Request:
    """Return the request with a credential, which may be another at each attempt."""
    if request.confine is not None:
        request = request.confine(request, authorization)
    return request.with_authorization(MaskedText(authorization.header.reveal()))


class ApiKeyCredential:
    """The credential source of an organization's API key, which never changes.

    Raises:
        ConfigurationError: the key has characters that a header cannot contain.
    """

    def __init__(self, api_key: Secret) -> None:
        key = MaskedText(api_key.reveal())
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            message = "api_key is empty or has characters that no key has"
            raise ConfigurationError(message)
        self._authorization = _Fixed(Secret(f"Bearer {key}"))

    def cached(self) -> Authorization:
        """Return the key."""
        return self._authorization

    async def get(self, deadline: float) -> Authorization:  # noqa: ARG002  # never waits
        """Return the key."""
        return self._authorization

    def on_success(self, authorization: Authorization, route: str) -> None:
        """Do nothing; a key has no state."""

    async def on_unauthorized(
        self, authorization: Authorization, refusals: int, deadline: float, route: str
    ) -> None:
        """Return None: the same key would be refused again."""


@attrs.frozen
class _Fixed:
    header: Secret
