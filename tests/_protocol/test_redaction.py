"""Text that can be shown."""

from urllib.parse import quote

from hypothesis import given, strategies as st

from persona_share._protocol.redaction import (
    MASK,
    escaped,
    scrubbed,
    shown_id,
)


def test_controls_are_escaped():
    assert escaped("a\r\nb\x1b[31m\u202ec\u2028") == r"a\r\nb\x1b[31m\u202ec\u2028"


def test_plain_text_is_unchanged():
    assert escaped("Record not found — ünïcödé ✓") == "Record not found — ünïcödé ✓"


def test_text_is_cut():
    assert escaped("x" * 501) == "x" * 500 + "…"
    assert escaped("x" * 500) == "x" * 500
    assert escaped("\n" * 300) == "\\n" * 250 + "…"


@given(st.text())
def test_any_text_becomes_printable_and_short(text):
    shown = escaped(text)
    assert shown.isprintable()
    assert len(shown) <= 501


@given(st.text(max_size=20), st.text(min_size=4), st.text(max_size=20))
def test_no_secret_is_left_plain_or_encoded(before, secret, after):
    text = f"{before}{secret}{after} {quote(secret, safe='')}"
    left = scrubbed(text, [secret])
    assert secret not in left or secret in MASK


def test_longest_secret_is_masked_first():
    assert scrubbed("code-1234 code", ["code", "code-1234"]) == f"{MASK} {MASK}"


def test_short_texts_are_not_masked():
    assert scrubbed("the id is 1", ["1", "", "is"]) == "the id is 1"


def test_id_of_a_response_is_bounded_text_or_none():
    assert shown_id("req_1") == "req_1"
    assert shown_id("x" * 1000) == "x" * 64 + "…"
    assert shown_id("") is shown_id(None) is None
