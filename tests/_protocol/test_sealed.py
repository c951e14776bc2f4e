"""Keys of a ring, and the form of sealed texts."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.sealed import NONCE, Head, RingKey, Sealed
from persona_share.errors import ConfigurationError
from persona_share.model.secret import Secret


KEY = bytes(range(32))
TEXT = urlsafe_b64encode(KEY).decode()


@pytest.mark.parametrize(
    "given_",
    [KEY, TEXT, TEXT.rstrip("="), Secret(TEXT)],
    ids=["bytes", "padded", "bare", "secret"],
)
def test_a_key_is_bytes_or_their_text(given_):
    assert RingKey.of(given_) == RingKey.of(KEY)


@pytest.mark.parametrize(
    "given_",
    [b"", b"short", KEY + b"x", "", "short", "not base64 ✗", "=" * 43],
    ids=range(7),
)
def test_anything_else_is_refused_without_being_quoted(given_):
    with pytest.raises(ConfigurationError, match="32 random bytes") as caught:
        RingKey.of(given_)
    assert not given_ or str(given_) not in str(caught.value)


def test_each_use_has_a_key_of_its_own_and_none_is_shown():
    key = RingKey.of(KEY)
    assert len({key.seal, key.names, KEY}) == 3
    assert len(key.seal) == 32
    assert repr(key) == f"RingKey(id={key.id!r})"


def test_t14_names_of_different_parts_differ():
    key = RingKey.of(KEY)
    names = [
        key.name(*parts)
        for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("ab", "d"))
    ]
    assert len(set(names)) == len(names)
    assert key.name("ab", "c") == names[0]
    assert RingKey.of(b"x" * 32).name("ab", "c") not in names


@given(lifetime=st.integers(0, 10**9), ciphertext=st.binary(min_size=1, max_size=40))
def test_what_is_read_is_what_was_written(lifetime, ciphertext):
    head = Head(b"abcd", lifetime / 1_000)
    data = head.write(b"n" * NONCE, ciphertext)
    assert Sealed.read(data) == Sealed(head, b"n" * NONCE, ciphertext)


@given(st.binary(max_size=60))
def test_what_is_not_sealed_is_none_or_at_least_taken_apart(data):
    sealed = Sealed.read(data)
    assert sealed is None or sealed.head.write(sealed.nonce, sealed.ciphertext) == data


def test_the_lifetime_and_whose_it_is_are_associated():
    about = Head(b"abcd", 1.0).about("token", "name", "1")
    assert about != Head(b"abcd", 2.0).about("token", "name", "1")
    assert about != Head(b"abce", 1.0).about("token", "name", "1")
    assert about != Head(b"abcd", 1.0).about("token", "name", "2")
    assert about != Head(b"abcd", 1.0).about("token", "name1", "")
