"""The service answered, but not with what was asked for."""

from typing import Any

from persona_share.errors.base import PersonaError, Phase


class ApiError(PersonaError):
    """The service answered, but not with what was asked for.

    ``title``, ``details`` and ``pointer`` are the service's own words, cut to 500
    characters, escaped, and free of what we sent as a secret.
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
    """400: the service could not read the request."""

    advice = "See .details for the parameter that it names."


class IdempotencyMismatchError(BadRequestError):
    """One idempotency key was used for two different requests."""

    advice = "Use a key for one request only; leave it out to get a new one."


class AuthenticationError(ApiError):
    """401: the service did not accept the credential."""

    advice = "Check that the key is right, active and of this environment."


class PermissionDeniedError(ApiError):
    """403: the credential may not do this."""

    advice = (
        "Check the key's permissions and IP allowlist, or the scope of the session."
    )


class NotFoundError(ApiError):
    """404: no such object for this credential."""

    advice = "Check the id, and that it is of this environment."


class ConflictError(ApiError):
    """409: the object's state does not allow this."""

    advice = "Read the object's state; it may already be what you wanted."


class UnprocessableError(ApiError):
    """422: the request was understood and refused."""

    advice = "See .details and .pointer for the field that it names."


class RateLimitedError(ApiError):
    """429: too many requests in this window; ``retry_after`` is in seconds."""

    advice = "Wait for retry_after, or slow down."
    retryable = True


class QuotaExceededError(ApiError):
    """A product's quota is used up (403 or 429); it is not the request rate."""

    advice = "Wait for the quota's window or ask Persona for more."


class ServerError(ApiError):
    """5xx: the service failed."""

    advice = "Try again later; for a call that changes something read its state first."
    retryable = True


class UnexpectedRedirectError(ApiError):
    """3xx: redirects are never followed, because they carry credentials along."""

    advice = "Check base_url; the service itself does not redirect."


class UnexpectedContentTypeError(ApiError):
    """The body is neither JSON nor what was asked for."""

    advice = "Something other than the service may have answered; check base_url."


class ResponseTooLargeError(ApiError):
    """The body is larger than anything the service sends."""


class MalformedResponseError(ApiError):
    """The body does not say what it must."""

    advice = "Something other than the service may have answered; check base_url."
