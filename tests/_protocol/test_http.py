"""Requests, the first error of a response, and versions."""

import attrs
import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.http import (
    DEFAULT_VERSION,
    KNOWN_VERSIONS,
    Expects,
    Problem,
    Request,
    Response,
    is_json,
    is_version,
    problem_of,
    warning_about_version,
)
from persona_share.model.secret import MaskedText, Secret


FULL = Request(
    method="POST",
    route="/inquiries/{inquiry-id}",
    target="/inquiries/CANARY",
    deadline=1.0,
    headers={"A": "CANARY"},
    body=b"CANARY",
    content_type="application/json",
    idempotency_key=Secret("CANARY"),
    expects=Expects.OAUTH,
    repeatable=True,
    reconcile="x",
)
HEADER = MaskedText("Bearer CANARY")


def test_request_with_a_credential_is_the_same_in_all_else():
    assert FULL.with_authorization(HEADER) == attrs.evolve(FULL, authorization=HEADER)
    assert FULL.authorization is None


def test_repr_of_a_request_shows_its_route_only():
    assert "/inquiries/{inquiry-id}" in repr(FULL)
    assert "CANARY" not in repr(FULL.with_authorization(HEADER))


# ── Errors in a response ─────────────────────────────────────────────────────


def problem(body, status=422, content_type="application/json"):
    headers = {"content-type": content_type}
    return problem_of(Response(status=status, headers=headers, body=body))


def test_first_error_is_read():
    body = b"""{"errors": [
        {"title": "Record invalid", "details": "too big", "meta": {},
         "source": {"pointer": "/data/attributes/files"}},
        {"title": "Another"}]}"""
    assert problem(body) == Problem(
        "Record invalid", "too big", "/data/attributes/files"
    )


def test_details_are_optional():
    assert problem(b'{"errors":[{"title":"Record not found"}]}') == Problem(
        "Record not found"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"errors":null}',
        b'{"errors":{}}',
        b'{"errors":[]}',
        b'{"errors":["x"]}',
        b'{"errors":[{"title":7,"details":[],"source":"x"}]}',
        b'{"errors":[{"source":{"pointer":7}}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_problem_is_empty_when_body_has_no_error(body):
    assert problem(body) == Problem()


def test_html_page_and_success_have_no_error_text():
    words = b'{"errors":[{"title":"x"}]}'
    assert problem(words, content_type="text/html") == Problem()
    assert problem(words, status=200) == Problem()


@given(st.binary())
def test_no_body_can_break_it(body):
    assert isinstance(problem(body).title, str)


def test_quota_and_mismatch_are_recognized_by_title():
    assert Problem("Quota exceeded").quota
    assert not Problem("Rate limit exceeded").quota
    assert Problem("Idempotency error").mismatch
    assert not Problem("Bad Request").mismatch


@pytest.mark.parametrize(
    ("content_type", "response"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("application/problem+json;x=y", True),
        ("text/html", False),
        ("text/json-ish", False),
        ("application/jsonp", False),
        ("", False),
    ],
)
def test_json_content_types_are_recognized(content_type, response):
    assert is_json(content_type) is response


# ── Versions ─────────────────────────────────────────────────────────────────


#: The header's enumeration, a folder of the description, and the newest of the guides.
DOCUMENTED = [
    "2020-05-18",
    "2021-02-21",
    "2021-05-14",
    "2021-07-05",
    "2021-08-18",
    "2022-09-01",
    "2023-01-05",
    "2025-10-27",
    "2025-12-08",
    "2026-09-29",
]


def test_default_is_the_newest_documented_version():
    newest = DOCUMENTED[-1]
    assert newest == DEFAULT_VERSION


def test_every_documented_version_is_known():
    assert sorted(KNOWN_VERSIONS) == DOCUMENTED
    assert [warning_about_version(each) for each in DOCUMENTED] == [None] * len(
        DOCUMENTED
    )


def test_unknown_version_causes_a_warning():
    assert "2027-01-01" in warning_about_version("2027-01-01")


@pytest.mark.parametrize(
    "value", ["", "latest", "2025-12-8", "2025-12-08\r\nX: y", "٢٠٢٥-12-08", None, 2025]
)
def test_other_values_are_not_versions(value):
    assert not is_version(value)
