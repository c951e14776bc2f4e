"""Decoding of response bodies."""

import gzip
import itertools
import zlib

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.body import (
    CHUNK,
    BodyDecoder,
    BodyDecodingError,
    BodyTooLargeError,
    UnsupportedEncodingError,
)


def taken(body, coding="", cap=10**8, step=CHUNK):
    intake = BodyDecoder(cap, coding)
    for start in range(0, len(body), step):
        intake.feed(body[start : start + step])
    return intake.end()


@given(st.binary(max_size=2000), st.integers(1, 500))
def test_body_is_decoded_for_any_split_into_pieces(body, step):
    assert taken(body, step=step) == body
    assert taken(gzip.compress(body), "gzip", step=step) == body


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_body_as_large_as_a_chunk_is_decoded_completely(size):
    body = bytes(range(256)) * (size // 256 + 1)
    assert taken(gzip.compress(body[:size]), "GZip ") == body[:size]


def test_size_limit_counts_decoded_bytes():
    body = bytes(1000)
    assert taken(body, cap=1000) == body
    assert taken(gzip.compress(body), "gzip", cap=1000) == body
    for coded, coding in ((body + b"x", ""), (gzip.compress(body + b"x"), "gzip")):
        with pytest.raises(BodyTooLargeError):
            taken(coded, coding, cap=1000)


def test_bytes_up_to_the_size_limit_are_available():
    intake = BodyDecoder(3)
    with pytest.raises(BodyTooLargeError):
        intake.feed(b"abcdef")
    assert intake.head == b"abc"


def test_f19_decompression_bomb_is_detected_early():
    zipper = zlib.compressobj(9, wbits=31)
    bomb = zipper.compress(bytes(64 * 1024 * 1024)) + zipper.flush()
    intake = BodyDecoder(10**9, "gzip")
    with pytest.raises(BodyTooLargeError):
        intake.feed(bomb)
    assert len(intake.head) <= 1024 * 1024 + CHUNK  # however much came at once
    small = BodyDecoder(10**9, "gzip")
    with pytest.raises(BodyTooLargeError):
        small.feed(bomb[:2048])  # a bomb need not have come whole
    assert len(small.head) <= 1024 * 1024 + CHUNK


def test_small_body_may_have_any_compression_ratio():
    assert taken(gzip.compress(bytes(1024 * 1024)), "gzip") == bytes(1024 * 1024)


@pytest.mark.parametrize(
    "coded",
    [
        gzip.compress(b"x" * 100)[:-1],
        gzip.compress(b"x" * 100)[:-9],
        gzip.compress(b"x" * 100)[:5],
        gzip.compress(b"x") + b"y",
        gzip.compress(b"x") * 2 + b"y",
        gzip.compress(b"x") + b"\x1f",
        gzip.compress(b"x") + gzip.compress(b"x" * 100)[:-9],
        gzip.compress(b"x")[:-8] + bytes(8),
        b"{}",
        zlib.compress(b"{}"),
    ],
    ids=itertools.count(),  # the bytes hold the time; ids must not differ
)
def test_f20_error_has_no_cause_when_body_is_not_gzip(coded):
    with pytest.raises(BodyDecodingError) as caught:
        taken(coded, "gzip")
    assert not isinstance(caught.value, UnsupportedEncodingError)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("padding", [b"", bytes(3)])
def test_gzip_body_of_several_members_is_one_body(size, padding):
    members = [b"a" * 50, b"", b"b" * 50_000]
    coded = b"".join(map(gzip.compress, members)) + padding
    decoder = BodyDecoder(10**6, "gzip")
    for start in range(0, len(coded), size):
        decoder.feed(coded[start : start + size])
    assert decoder.end() == b"".join(members)


def test_many_members_together_are_held_to_the_cap():
    decoder = BodyDecoder(1000, "gzip")
    with pytest.raises(BodyTooLargeError):
        decoder.feed(gzip.compress(b"a" * 100) * 11)


def test_empty_body_needs_no_gzip():
    assert taken(b"", "gzip") == b""


@pytest.mark.parametrize(
    "coding", ["br", "zstd", "deflate", "gzip, gzip", "gzip,br", "?"]
)
def test_f20_unsupported_content_encoding_is_refused(coding):
    with pytest.raises(UnsupportedEncodingError):
        BodyDecoder(1000, coding)


def feed_all(decoder, pieces):
    for piece in pieces:
        decoder.feed(piece)


@pytest.mark.parametrize("rest", [gzip.compress(b""), b"\0"], ids=["members", "zeros"])
def test_f19_endless_body_that_decodes_to_nothing_is_too_large(rest):
    decoder = BodyDecoder(cap=1_000, coding="gzip")
    decoder.feed(gzip.compress(b"{}"))

    with pytest.raises(BodyTooLargeError):
        feed_all(decoder, [rest * 1_000] * 200)
