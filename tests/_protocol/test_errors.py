"""The error of a response (API page "Errors")."""

import json
import pickle

import attrs
import pytest
from hypothesis import given, strategies as st

from persona_share import errors
from persona_share._protocol.errors import error_in, error_of, malformed, secrets_of
from persona_share._protocol.http import Expects, Request, Response
from persona_share.errors import Attempt, Phase
from persona_share.model.secret import MaskedText, Secret


TOKEN, KEY, CODE = "CANARY-token", "CANARY-key", "CANARY/code+1"
ENCODED = "CANARY%2Fcode%2B1"


def request(expects=Expects.JSON, **fields):
    return Request(
        method="POST",
        route="/oauth/token" if expects is Expects.OAUTH else "/inquiries",
        target="/x",
        deadline=0,
        expects=expects,
        authorization=MaskedText(f"Bearer {TOKEN}"),
        idempotency_key=Secret(KEY),
        **fields,
    )


def error_response(status, title=None, details=None, content_type=None, **headers):
    body = {"errors": [{"title": title, "details": details}]}
    named = {"content-type": content_type or "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = json.dumps(body).encode() if title is not None else b""
    return Response(status=status, headers=named, body=text)


KINDS = [
    (400, "Bad Request", errors.BadRequestError, False),
    (400, "Idempotency error", errors.IdempotencyMismatchError, False),
    (401, "Token is invalid", errors.AuthenticationError, False),
    (401, None, errors.AuthenticationError, False),
    (403, "Forbidden", errors.PermissionDeniedError, False),
    (403, "Quota exceeded", errors.QuotaExceededError, False),
    (404, "Record not found", errors.NotFoundError, False),
    (405, None, errors.ApiError, False),
    (408, "Request Timeout", errors.ApiError, True),
    (409, "Conflict", errors.ConflictError, False),
    (418, None, errors.ApiError, False),
    (422, "Unprocessable entity", errors.UnprocessableError, False),
    (429, "Rate limit exceeded", errors.RateLimitedError, True),
    (429, "Quota exceeded", errors.QuotaExceededError, False),
    (451, None, errors.ApiError, False),
    (500, "x", errors.ServerError, True),
    (501, None, errors.ServerError, True),
    (502, None, errors.ServerError, True),
    (503, "Service unavailable", errors.ServerError, True),
    (504, None, errors.ServerError, True),
    (599, None, errors.ServerError, True),
    (999, None, errors.ApiError, False),
    *((status, None, errors.UnexpectedRedirectError, False) for status in (301, 304)),
]


@pytest.mark.parametrize(("status", "title", "kind", "again"), KINDS)
def test_each_status_has_its_error(status, title, kind, again):
    error = error_of(request(), error_response(status, title))
    assert type(error) is kind
    assert error.status == status
    assert error.retryable is again
    assert error.phase is Phase.ANSWERED
    assert error.operation == "POST /inquiries"
    assert str(status) in str(error)


def test_error_has_every_fact_of_the_response():
    body = {
        "errors": [
            {
                "title": "Record invalid",
                "details": "File must be under 2 bytes",
                "source": {"pointer": "/data/attributes/files"},
            }
        ]
    }
    headers = {
        "content-type": "application/json",
        "request-id": "req_1",
        "persona-organization-id": "org_1",
        "persona-environment-id": "env_1",
    }
    response = Response(status=422, headers=headers, body=json.dumps(body).encode())
    error = error_of(request(), response)
    assert error.title == "Record invalid"
    assert error.details == "File must be under 2 bytes"
    assert error.pointer == "/data/attributes/files"
    assert error.request_id == "req_1"
    assert error.organization_id == "org_1"
    assert error.environment_id == "env_1"
    assert error.attempts == (Attempt(Phase.ANSWERED, "422", 422, "req_1"),)
    assert pickle.loads(pickle.dumps(error)).details == error.details  # noqa: S301


def test_error_has_attempts_and_retry_after():
    attempts = (Attempt(Phase.AMBIGUOUS, "x"), Attempt(Phase.ANSWERED, "429", 429))
    response = Response(status=429, headers={"retry-after": "7"}, attempts=attempts)
    error = error_of(request(), response)
    assert error.retry_after == 7
    assert error.attempts == attempts


def test_html_error_page_raises_the_error_of_its_status():
    response = Response(status=502, headers={"content-type": "text/html"}, body=b"<p>")
    error = error_of(request(), response)
    assert isinstance(error, errors.ServerError)
    assert error.title is error.details is error.pointer is None


@pytest.mark.parametrize(
    ("header", "location", "shown"),
    [
        ("location", "https://other.example:8443/x?code=CANARY", "https://other.example:8443"),
        ("location", "http://user:CANARY@other.example/", "http://other.example"),
        ("location", "//other.example/CANARY", "other.example"),
        ("uri", "https://other.example/CANARY", "https://other.example"),
        ("location", "/api/v1/CANARY", "its own origin"),
        ("location", "https://[CANARY/", "an invalid URL"),
        ("location", "https://CANARY\x1b[31m/", "an invalid URL"),
        ("location", "", "nowhere"),
    ],
)  # fmt: skip
def test_redirect_names_the_origin_of_its_target_and_no_more(header, location, shown):
    error = error_of(request(), Response(status=302, headers={header: location}))
    assert isinstance(error, errors.UnexpectedRedirectError)
    assert error.what == f"the service responded with 302, a redirect to {shown}"
    assert "CANARY" not in str(error)


# ── Secrets ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("secret", [TOKEN, KEY, CODE, ENCODED])
@pytest.mark.parametrize("field", ["title", "details"])
def test_secrets_of_the_request_are_masked(secret, field):
    sent = request(Expects.OAUTH, body=f"code={ENCODED}&grant-type=x".encode())
    words = {"title": "t", "details": "d"} | {field: f"{secret} is not valid"}
    error = error_of(sent, error_response(400, **words))
    for text in (str(error), repr(error), str(vars(error))):
        assert "CANARY" not in text
    assert getattr(error, field) == "<masked> is not valid"


def test_secret_is_masked_before_the_text_is_cut():
    response = error_response(400, "t", "x" * 495 + TOKEN)
    error = error_of(request(), response)
    assert error.details is not None
    assert "CANA" not in error.details


def test_excerpt_does_not_end_in_half_a_secret():
    page = success("text/html", b"x" * 190 + TOKEN.encode())
    error = error_in(request(), page)
    assert error is not None
    assert "CANA" not in str(error.details)


def test_credential_added_by_a_sender_is_masked():
    # A request has none until it passes the layer that adds it.
    sent = attrs.evolve(request(), authorization=None)
    credential = MaskedText(f"Bearer {TOKEN}")
    response = attrs.evolve(error_response(400, TOKEN, TOKEN), credential=credential)
    error = error_of(sent, response)
    assert error.title == error.details == "<masked>"
    assert TOKEN not in f"{error} {vars(error)}"


def test_secrets_of_an_oauth_request_are_its_values():
    sent = request(Expects.OAUTH, body=b"grant-type=authorization_code&code=c-1234")
    assert secrets_of(sent, Response(status=400)) == (TOKEN, KEY, "c-1234")
    sent = request(Expects.OAUTH, body=b'{"code":"c-1234","n":1}')
    assert secrets_of(sent, Response(status=400)) == (TOKEN, KEY, "c-1234")


def test_values_of_other_requests_are_not_masked():
    assert secrets_of(request(body=b'{"code":"c-1234"}'), Response(status=400)) == (
        TOKEN,
        KEY,
    )


@given(st.text(), st.text())
def test_server_text_is_always_printable_and_short(title, details):
    error = error_of(request(), error_response(400, title, details))
    for text in (error.what, error.title or "", error.details or ""):
        assert text.isprintable()
        assert len(text) < 550


# ── Successes that cannot be used ───────────────────────────────────────────────


def success(content_type, body=b"{}", status=200):
    return Response(status=status, headers={"content-type": content_type}, body=body)


@pytest.mark.parametrize(
    ("expects", "content_type"),
    [
        (Expects.JSON, "application/json; charset=utf-8"),
        (Expects.JSON, "application/vnd.api+json"),
        (Expects.OAUTH, "application/json"),
        (Expects.PDF, "application/pdf"),
    ],
)
def test_expected_body_is_no_error(expects, content_type):
    assert error_in(request(expects), success(content_type)) is None


@pytest.mark.parametrize(
    ("expects", "content_type"),
    [
        (Expects.JSON, "text/html"),
        (Expects.JSON, ""),
        (Expects.JSON, "application/pdf"),
        (Expects.OAUTH, "application/x-www-form-urlencoded"),
        (Expects.PDF, "application/json"),
    ],
)
def test_f24_unexpected_body_is(expects, content_type):
    error = error_in(request(expects), success(content_type))
    assert isinstance(error, errors.UnexpectedContentTypeError)
    assert error.status == 200


def test_unexpected_page_is_quoted_except_for_oauth():
    page = success("text/html", b"<html>\x1b" + b"x" * 1000)
    error = error_in(request(), page)
    assert error is not None
    assert error.details is not None
    assert error.details.startswith("<html>\\x1bxxx")
    assert len(error.details) <= 201
    oauth = error_in(request(Expects.OAUTH), page)
    assert oauth is not None
    assert oauth.details is None


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b'{"data": {"attributes": {"name-first": "CANARY"}}}'),
        ("text/html; charset=utf-8", b'\xef\xbb\xbf \n["CANARY"]'),
        ("", b"CANARY"),
        ("application/octet-stream", b"CANARY"),
        ("image/png", b"CANARY"),
    ],
)
@pytest.mark.parametrize("expects", [Expects.JSON, Expects.PDF])
def test_body_that_may_be_an_object_is_not_quoted(expects, content_type, body):
    error = error_in(request(expects), success(content_type, body))
    assert isinstance(error, errors.UnexpectedContentTypeError)
    assert "CANARY" not in f"{error} {vars(error)}"


def test_no_body_needs_no_type():
    assert error_in(request(), success("", b"", 204)) is None


def test_no_success_is_an_error_by_its_status():
    assert isinstance(error_in(request(), error_response(404)), errors.NotFoundError)


def test_malformed_body_is_not_quoted():
    response = success("application/json", b"CANARY")
    error = malformed(request(), response, "the body is not a JSON object")
    assert isinstance(error, errors.MalformedResponseError)
    assert error.what == "the body is not a JSON object"
    assert "CANARY" not in str(vars(error))
