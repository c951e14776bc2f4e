"""Responses of the OAuth endpoints: an invalid one yields no token."""

import json

import pytest
from hypothesis import given, strategies as st

from persona_share import Scope
from persona_share._protocol.oauth import (
    authorize_form,
    checked_code,
    code_form,
    exchange_key,
    parse_authorization,
    parse_token,
)
from persona_share.errors import (
    ExchangeProtocolError,
    InvalidArgumentError,
    MalformedResponseError,
    UnsupportedTokenTypeError,
)
from persona_share.model.secret import Secret


GOOD = {
    "access-token": "persona_access_token_AbC",
    "token-type": "bearer",
    "expires-in": 3599,
    "scope": "inquiry.read:inq_1",
}


def body(**changes):
    response = {
        **GOOD,
        **{key.replace("_", "-"): value for key, value in changes.items()},
    }
    return json.dumps({k: v for k, v in response.items() if v is not ...}).encode()


def test_documented_response_is_parsed():
    grant = parse_token(body())
    assert grant.token.reveal() == "persona_access_token_AbC"
    assert grant.lifetime == 3599
    assert grant.scope == Scope.read("inq_1")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"access-token":',
        body()[:-1],
        body() + b"x",
        body() + body(),
        body().decode().encode("utf-16"),
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_f41_f42_empty_or_broken_body_gives_no_token(content):
    with pytest.raises(ExchangeProtocolError):
        parse_token(content)


def test_f42_byte_order_mark_is_tolerated():
    assert parse_token(b"\xef\xbb\xbf" + body()).lifetime == 3599


@pytest.mark.parametrize("content", [b"null", b"[]", b'"token"', b"7", b"true"])
def test_f43_anything_but_an_object_gives_no_token(content):
    with pytest.raises(ExchangeProtocolError):
        parse_token(content)


@pytest.mark.parametrize("key", ["access_token", "token_type", "expires_in"])
def test_f44_missing_key_gives_no_token(key):
    with pytest.raises(ExchangeProtocolError, match="missing"):
        parse_token(body(**{key: ...}))


def test_f44_missing_scope_means_the_expected_one_and_nothing_else():
    expected = Scope.read("inq_9")
    assert parse_token(body(scope=...), expected).scope == expected
    with pytest.raises(ExchangeProtocolError, match="'scope' is missing"):
        parse_token(body(scope=...))


@pytest.mark.parametrize("seconds", [0, -1, -3599])
def test_f45_lifetime_that_is_not_above_0_gives_no_token(seconds):
    with pytest.raises(ExchangeProtocolError, match="expires-in"):
        parse_token(body(expires_in=seconds))


@pytest.mark.parametrize("seconds", [86_401, 10**12, int("9" * 30)])
def test_f46_lifetime_over_a_day_is_cut_to_a_day(seconds):
    grant = parse_token(body(expires_in=seconds))
    assert grant.lifetime == 86_400
    assert grant.clamped


@pytest.mark.parametrize("text", ["3599", "3599.0"])
def test_f46_lifetime_may_be_a_string(text):
    assert parse_token(body(expires_in=text)).lifetime == 3599


@pytest.mark.parametrize("raw", ["3599.0", "3.599e3", "35990e-1"])
def test_f46_lifetime_may_be_a_whole_number_in_any_spelling(raw):
    content = body(expires_in="@").replace(b'"@"', raw.encode())

    assert parse_token(content).lifetime == 3599


@pytest.mark.parametrize(
    "raw",
    [
        "1e999",
        "NaN",
        "true",
        "3599.9",
        '" 3599"',
        '"3599 "',
        '"1h"',
        "null",
        "[3599]",
        "9" * 5000,
        '"-1"',
        '"\uff13"',
    ],
)
def test_f46_any_other_lifetime_gives_no_token(raw):
    content = body(expires_in="@").replace(b'"@"', raw.encode())
    with pytest.raises(ExchangeProtocolError):
        parse_token(content)


@pytest.mark.parametrize("name", ["bearer", "Bearer", "BEARER"])
def test_f47_token_type_is_compared_without_case(name):
    assert parse_token(body(token_type=name)).lifetime == 3599


@pytest.mark.parametrize("name", ["bearer ", "mac", "DPoP", ""])
def test_f47_another_token_type_is_never_used(name):
    with pytest.raises(UnsupportedTokenTypeError):
        parse_token(body(token_type=name))


def test_f50_empty_scope_is_parsed_as_empty():
    assert not parse_token(body(scope="")).scope


def test_f51_repetition_order_tabs_and_spaces_do_not_matter():
    text = "txn.read:txn_2\tinquiry.read:inq_1  txn.read:txn_2 "
    assert parse_token(body(scope=text)).scope == Scope.read("inq_1", "txn_2")


@pytest.mark.parametrize(
    "text",
    [
        "inquiry.read:inq_1 «x»",
        "inquiry.read:inq_1,inq_2",
        " ".join(f"inquiry.read:inq_{number}" for number in range(1_001)),
    ],
)
def test_f51_scope_with_bad_characters_or_a_thousand_entries_gives_no_token(text):
    with pytest.raises(ExchangeProtocolError, match="scope"):
        parse_token(body(scope=text))


@pytest.mark.parametrize(
    "token", ["", "a b", "a\r\nX: y", "a\0b", "tökén", "x" * 8_193, 7, None]
)
def test_f52_token_with_characters_invalid_in_headers_is_refused(token):
    with pytest.raises(ExchangeProtocolError, match="access-token"):
        parse_token(body(access_token=token))


@pytest.mark.parametrize("spelling", ["access_token", "accessToken"])
def test_f53_other_casings_are_read(spelling):
    names = {"access_token": str.lower, "accessToken": str}
    content = body().replace(b"access-token", spelling.encode())
    assert spelling in names
    assert parse_token(content).token.reveal() == "persona_access_token_AbC"


def test_f53_two_spellings_at_once_are_refused():
    content = body()[:-1] + b', "access_token": "other"}'
    with pytest.raises(ExchangeProtocolError, match="repeated"):
        parse_token(content)


def test_repeated_key_is_refused():
    content = body()[:-1] + b', "expires-in": 1}'
    with pytest.raises(ExchangeProtocolError):
        parse_token(content)


def test_f54_unknown_keys_are_ignored():
    assert parse_token(body(refresh_token="x", new={"a": [1]})).lifetime == 3599


def test_no_refusal_repeats_the_body():
    with pytest.raises(ExchangeProtocolError) as caught:
        parse_token(body(access_token="canary token", expires_in="canary"))
    assert "canary" not in f"{caught.value!s}{caught.value!r}{caught.value.__dict__}"


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_raise_a_library_error(content):
    try:
        parse_token(content)
    except ExchangeProtocolError:
        return
    assert json.loads(content)


def test_forms_are_kebab_case_and_always_the_same_bytes():
    scope = Scope.read("ver_2", "inq_1")
    assert authorize_form("org_1", scope) == (
        b"client-id=org_1&response-type=code"
        b"&scope=inquiry.read%3Ainq_1+verification.read%3Aver_2"
    )
    assert code_form(Secret("a+b&c")) == b"code=a%2Bb%26c&grant-type=authorization_code"


def test_exchange_key_depends_on_code_origin_and_epoch_only():
    def key(origin="https://x/api/v1", code="c1", epoch=0):
        return exchange_key(origin, Secret(code), epoch).reveal()

    assert key() == key()
    assert len({key(), key(origin="https://y"), key(code="c2"), key(epoch=1)}) == 4
    assert len(key()) == 32
    assert "c1" not in key()


@pytest.mark.parametrize("code", ["", "a b", "a\n", "ü", "x" * 9_000, None, 7])
def test_invalid_code_is_refused_without_repeating_it(code):
    with pytest.raises(InvalidArgumentError):
        checked_code(code)


def test_response_of_authorize_is_parsed():
    response = parse_authorization(b'{"code": "8qaA6Q9G", "expires-in": 599, "new": 1}')
    assert response.code.reveal() == "8qaA6Q9G"
    assert response.lifetime == 599


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"code": "", "expires-in": 1}',
        b'{"code": "a b", "expires-in": 1}',
        b'{"code": "a"}',
        b'{"code": "a", "expires-in": 0}',
    ],
)
def test_response_of_authorize_without_a_valid_code_is_refused(content):
    with pytest.raises(MalformedResponseError):
        parse_authorization(content)
