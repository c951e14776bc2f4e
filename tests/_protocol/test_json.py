"""Strict JSON."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.json import NotJsonError, dump_json, parse_json


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)
# Enough siblings to make the brackets be counted, with brackets and quotes in strings.
crowd = ['"[', '\\"{', "]}", "plain"] * 20


@given(documents, st.sampled_from(["", " ", "\n"]))
def test_document_is_read_as_it_is(document, space):
    assert parse_json((space + json.dumps(document) + space).encode()) == document


def nested(depth, inner="0"):
    return ("[" * depth + inner + "]" * depth).encode()


def alternating(depth):
    text = "0"
    for level in range(depth):
        text = f"[{text}]" if level % 2 else f'{{"a":{text}}}'
    return text


@pytest.mark.parametrize("make", [lambda d: nested(d).decode(), alternating])
def test_thousand_levels_are_read_and_a_hundred_thousand_are_refused(make):
    assert parse_json(make(900).encode()) is not None
    for depth in (1_025, 5_000):
        with pytest.raises(NotJsonError):
            parse_json(make(depth).encode())
    with pytest.raises(NotJsonError):
        parse_json(nested(100_000))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}x',
        b"{'a':1}",
        b"<html></html>",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"1" * 5000,
        b'"\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '{"a":1}'.encode("utf-16"),
        b'{"a":01}',
        b'"\x00"',
        b"[" * 100_000,
        nested(100_000),
        b'{"a":' * 100_000,
    ],
    ids=repr,
)
def test_anything_else_is_refused_without_repeating_it(body):
    with pytest.raises(NotJsonError) as caught:
        parse_json(body)
    assert caught.value.__context__ is None
    assert len(str(caught.value)) < 40


@given(st.binary())
def test_any_bytes_are_parsed_or_refused(body):
    with suppress(NotJsonError):
        parse_json(body)


@given(
    st.integers(-(10**40), 10**40),
    st.text(st.characters(codec="ascii"), max_size=12),
    st.sampled_from(["[{}]", '{{"a": {} }}', '{{"a":[1,{}],"b":"x"}}']),
)
def test_integers_of_any_size_are_exact(number, padding, shape):
    text = json.dumps([padding]) + "\n"
    document = parse_json(f"[{text},{shape.format(number)}]".encode())
    assert document == [[padding], json.loads(shape.format(number))]
    assert str(number) in dump_json(document).decode()


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**300])
def test_integers_around_the_machine_s_limits_are_exact(number):
    assert parse_json(b'{"n":%d}' % number) == {"n": number}
    assert dump_json({"n": number}) == b'{"n":%d}' % number


@pytest.mark.parametrize("length", [19, 20, 30])
def test_integers_below_64_bits_are_exact_wherever_they_stand(length):
    number = 1 - 10**length
    for before in range(40):
        text = json.dumps(["2026-01-01T00:00:00.000Z", "x" * before, number, number])
        assert parse_json(text.encode())[2:] == [number, number]


def test_digits_in_a_text_stay_a_text():
    assert parse_json(b'["123456789012345678901234"]') == ["123456789012345678901234"]


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan")])
def test_only_json_is_written(value):
    if value != value:  # noqa: PLR0124 - a NaN
        assert dump_json(value) == b"null"
        return
    with pytest.raises(TypeError):
        dump_json([value])


def test_f42_byte_order_mark_is_tolerated():
    assert parse_json(b"\xef\xbb\xbf{}") == {}
