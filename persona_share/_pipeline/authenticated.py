"""Bearer: gives a request its credential, and another one when that was refused."""

from typing import Final

import attrs

from persona_share._protocol.http import Request, Response
from persona_share._protocol.redaction import shown_id
from persona_share.errors import (
    Attempt,
    ConfigurationError,
    PersonaError,
    Phase,
)
from persona_share.model.secret import MaskedText, Secret
from persona_share.ports import Authorization, CredentialSource, Sender


_UNAUTHORIZED: Final = 401
_MOST_REPLAYS: Final = 2


class Authenticated:
    """Adds the Authorization header; asks its source what to do after a 401.

    A replay is the same request to the letter, its idempotency key included, as the
    service does not store a 401 under it.
    """

    def __init__(self, inner: Sender, source: CredentialSource) -> None:
        self._inner = inner
        self._source = source

    async def send(self, request: Request) -> Response:
        """Send with a credential, and at most twice more after a 401.

        Raises:
            TokenError: there is no credential for this request.
        """
        authorization = self._source.cached()
        if authorization is None:
            authorization = await self._source.get(request.deadline)
        response = await self._inner.send(
            request.with_authorization(authorization.header)
        )
        if response.status != _UNAUTHORIZED:
            return response
        return await self._replayed(request, authorization, response)

    async def _replayed(
        self, request: Request, authorization: Authorization, response: Response
    ) -> Response:
        trail: list[Attempt] = []
        deadline = request.deadline
        for refusals in range(1, _MOST_REPLAYS + 1):
            trail.extend(_attempts_of(response))
            another = await self._source.on_unauthorized(
                authorization, refusals, deadline
            )
            if another is None:
                return response
            authorization = another
            try:
                response = await self._inner.send(
                    request.with_authorization(authorization.header)
                )
            except PersonaError as error:
                error.attempts = (*trail, *error.attempts)
                raise
            if response.status != _UNAUTHORIZED:
                break
        return attrs.evolve(response, attempts=(*trail, *_attempts_of(response)))


class ApiKeyCredential:
    """The source of a credential that never changes: an organization's API key.

    Raises:
        ConfigurationError: the key has characters that no header can carry.
    """

    def __init__(self, api_key: Secret) -> None:
        key = MaskedText(api_key.reveal())
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            message = "api_key is empty or has characters that no key has"
            raise ConfigurationError(message)
        self._lease = _Fixed(MaskedText(f"Bearer {key}"))

    def cached(self) -> Authorization:
        """Answer the key."""
        return self._lease

    async def get(self, deadline: float) -> Authorization:  # noqa: ARG002 — it is there
        """Answer the key."""
        return self._lease

    async def on_unauthorized(
        self, authorization: Authorization, refusals: int, deadline: float
    ) -> None:
        """Answer None: the same key would be refused again (R10)."""


@attrs.frozen
class _Fixed:
    header: MaskedText


def _attempts_of(response: Response) -> tuple[Attempt, ...]:
    if response.attempts:
        return response.attempts
    request_id = shown_id(response.headers.get("request-id"))
    status = response.status
    return (Attempt(Phase.ANSWERED, str(status), status, request_id),)
