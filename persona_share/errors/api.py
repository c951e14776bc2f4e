"""Errors of the API: the service responded, but not with a usable success."""

from typing import Any

from persona_share.errors.base import PersonaError, Phase


class ApiError(PersonaError):
    """The service responded with an error, or with a body that cannot be used.

    ``title``, ``details`` and ``pointer`` are the service's own words, limited to 500
    characters, escaped, and without the credentials of the request.
    """

    _default_phase = Phase.ANSWERED

    def __init__(
        self,
        what: str,
        /,
        *,
        title: str | None = None,
        details: str | None = None,
        pointer: str | None = None,
        organization_id: str | None = None,
        environment_id: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(what, **facts)
        self.title = title
        self.details = details
        self.pointer = pointer
        self.organization_id = organization_id
        self.environment_id = environment_id


class BadRequestError(ApiError):
    """400: the service cannot process the request."""

    advice = "Correct the parameter that .details names."


class IdempotencyMismatchError(BadRequestError):
    """One idempotency key was used for two different requests."""

    advice = "Use each key for one request only, or leave it out for a new one."


class AuthenticationError(ApiError):
    """401: the service refused the credential."""

    advice = "Check that the API key is correct, active, and of this environment."


class PermissionDeniedError(ApiError):
    """403: the credential has no permission for this."""

    advice = "Check the permissions and the IP allowlist of the API key, or the session's scope."


class NotFoundError(ApiError):
    """404: the credential sees no such object."""

    advice = "Check the id, the environment of the API key, and base_url."


class ConflictError(ApiError):
    """409: the state of the object does not allow this."""

    advice = "Read the state of the object; the change may already be made."


class UnprocessableError(ApiError):
    """422: the request was understood, and refused."""

    advice = "Correct the field that .details or .pointer names."


class RateLimitedError(ApiError):
    """429: too many requests in this window; ``retry_after`` is in seconds."""

    advice = "Wait for retry_after seconds, or send fewer requests."
    retryable = True


class QuotaExceededError(ApiError):
    """The quota of a product is used up (403 or 429); this is not the rate limit."""

    advice = "Wait until the quota resets, or ask Persona for a higher one."


class ServerError(ApiError):
    """5xx: the service failed."""

    advice = "Try again later; read the state of the object before you repeat a change."
    retryable = True


class UnexpectedRedirectError(ApiError):
    """3xx: redirects are never followed, as the credential would follow them."""

    advice = "Check base_url; the service itself never redirects."


class UnexpectedContentTypeError(ApiError):
    """The body is neither JSON nor of the requested type."""

    advice = "Check base_url: something other than the service may have responded."


class ResponseTooLargeError(ApiError):
    """The body is larger than the limit."""

    advice = "Ask for less: use fields=, a smaller page_size, or max_bytes=."


class MalformedResponseError(ApiError):
    """The body has an unexpected form."""

    advice = "Check base_url: something other than the service may have responded."
