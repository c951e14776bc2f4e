"""Records as bytes: what is read is what was written, or nothing."""

import hashlib

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.stored import LEEWAY, Record, moved
from persona_share._protocol.stored_codec import LONGEST, Found, pack, unpack
from tests._protocol.test_stored import FULL, NOW


DATA = pack("name", FULL, NOW)


def test_what_is_read_is_what_was_written():
    assert unpack("name", DATA, NOW) == Found(FULL)
    assert unpack("name", pack("name", Record(), NOW), NOW) == Found(Record())


def test_t14_a_record_under_another_name_is_not_believed():
    assert unpack("another", DATA, NOW) is None


@given(place=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_f103_a_flipped_bit_is_noticed(place, bit):
    torn = bytearray(DATA)
    torn[place] ^= 1 << bit
    assert unpack("name", bytes(torn), NOW) is None


@given(length=st.integers(0, len(DATA) - 1))
def test_f103_a_torn_record_is_noticed(length):
    assert unpack("name", DATA[:length], NOW) is None


@given(data=st.binary(max_size=200))
def test_f116_what_is_no_record_is_none(data):
    assert unpack("name", data, NOW) is None


def test_f116_a_huge_value_is_not_even_looked_at():
    assert unpack("name", DATA + b" " * LONGEST, NOW) is None


@pytest.mark.parametrize(
    "told",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"name": "name", "fence": "x"}',
        DATA[16:].replace(b'"leader":[', b'"leader":[1,'),
        DATA[16:].replace(b'"queue":[', b'"queue":[7,'),
        DATA[16:].replace(b'"at":1000.0', b'"at":null'),
    ],
)
def test_f116_a_right_checksum_over_nonsense_helps_nobody(told):
    assert told != DATA[16:]
    data = hashlib.blake2b(told, digest_size=16).digest() + told
    assert unpack("name", data, NOW) is None


def test_f81_a_record_from_the_future_counts_as_written_now():
    then = NOW + LEEWAY + 1
    found = unpack("name", pack("name", moved(FULL, then - NOW), then), NOW)
    assert found == Found(FULL, moved=True)
