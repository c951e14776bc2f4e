"""Error responses of an application to its callers."""

import inspect
import logging

import pytest

from persona_share import errors
from persona_share.errors import PersonaError
from persona_share.integrations.application import error_response_for, log_error
from tests.integrations.conftest import CANARY


KINDS = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and issubclass(each, PersonaError)
]
#: Keyword arguments for the errors of each class.
FACTS = {
    "waiting_for": "the service",
    "seconds": 60.0,
    "missing": f"inquiry.read:{CANARY}",
    "reason": CANARY,
    "status": 400,
    "title": CANARY,
}


def an_error(kind, **facts):
    wanted = inspect.signature(kind).parameters
    known = {name: value for name, value in FACTS.items() if name in wanted}
    return kind(CANARY, **known, **facts)


@pytest.mark.parametrize("kind", KINDS)
def test_error_responses_contain_no_details(kind):
    refusal = error_response_for(an_error(kind))
    assert 400 <= refusal.status < 600
    assert CANARY not in repr(refusal.body())
    assert CANARY not in repr(refusal.headers())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotFoundError, 404),
        (errors.InvalidIdError, 404),
        (errors.ScopeNotCoveredError, 403),
        (errors.ScopeNotGrantedError, 403),
        (errors.CodeRefusedError, 403),
        (errors.ConflictError, 409),
        (errors.DeadlineExceededError, 504),
        (errors.OutcomeUnknownError, 502),
        (errors.ServerError, 502),
        (errors.AuthenticationError, 502),
        (errors.RateLimitedError, 503),
        (errors.CodeRejectedError, 503),
        (errors.StoreUnavailableError, 503),
        (errors.ConfigurationError, 500),
        (errors.SignatureError, 400),
        (errors.BadRequestError, 422),
        (errors.IdempotencyMismatchError, 422),
        (errors.UnprocessableError, 422),
        (errors.QuotaExceededError, 503),
        (errors.RedemptionFailedError, 409),
        (errors.ShareTokenExpiredError, 409),
        (errors.OutageError, 503),
    ],
)
def test_status_depends_on_the_cause(kind, status):
    assert error_response_for(an_error(kind)).status == status


def test_upstream_failed_only_for_errors_that_no_caller_or_quota_explains():
    failed = {
        kind
        for kind in KINDS
        if error_response_for(an_error(kind)).code == "upstream"
        and kind not in (PersonaError, errors.ApiError, errors.SharingError)
    }
    transport = {kind for kind in KINDS if issubclass(kind, errors.TransportError)}
    assert failed - transport == {
        errors.AuthenticationError,  # the key of the application
        errors.MalformedResponseError,
        errors.ResponseTooLargeError,
        errors.ServerError,
        errors.UnexpectedContentTypeError,
        errors.UnexpectedRedirectError,
    }


@pytest.mark.parametrize(("delay", "header"), [(29.6, "30"), (2.2, "3"), (0.01, "1")])
def test_response_has_retry_after(delay, header):
    for kind in (errors.RateLimitedError, errors.QuotaExceededError):
        error = kind("x", status=429, retry_after=delay)
        assert error_response_for(error).headers()["Retry-After"] == header


def test_response_has_no_retry_after_when_none_is_known():
    error = errors.RateLimitedError("x", status=429)
    assert "Retry-After" not in error_response_for(error).headers()


def test_log_contains_the_cause(caplog):
    with caplog.at_level(logging.WARNING, "persona_share"):
        log_error(errors.ServerError("the service failed", status=503), "GET")
        log_error(errors.UnprocessableError("a field is wrong", status=422), "PATCH")
        log_error(errors.NotFoundError("no such object", status=404), "GET")
    assert [each.name for each in caplog.records] == ["persona_share"] * 2
    assert "GET: responded 502: the service failed" in caplog.text
    assert "PATCH: responded 422: a field is wrong" in caplog.text
