"""The words of an error (API page "Errors")."""

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.http import Response
from persona_share._protocol.problems import Problem, is_json, problem_of


def problem(body, status=422, content_type="application/json"):
    headers = {"content-type": content_type}
    return problem_of(Response(status=status, headers=headers, body=body))


def test_the_first_error_is_read():
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
def test_what_is_not_there_is_empty(body):
    assert problem(body) == Problem()


def test_a_page_and_a_success_have_no_words():
    words = b'{"errors":[{"title":"x"}]}'
    assert problem(words, content_type="text/html") == Problem()
    assert problem(words, status=200) == Problem()


@given(st.binary())
def test_no_body_can_break_it(body):
    assert isinstance(problem(body).title, str)


def test_a_quota_and_a_mismatch_are_told_by_their_titles():
    assert Problem("Quota exceeded").quota
    assert not Problem("Rate limit exceeded").quota
    assert Problem("Idempotency error").mismatch
    assert not Problem("Bad Request").mismatch


@pytest.mark.parametrize(
    ("content_type", "answer"),
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
def test_t17_what_is_json(content_type, answer):
    assert is_json(content_type) is answer
