"""A delivery is accepted only with a recent signature by one of the secrets.

The expected MACs are computed here in another way than in the package: by OpenSSL's
one-shot function over the concatenated text.
"""

import hashlib
import hmac

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.signature import (
    MAX_BODY,
    MAX_HEADER_LENGTH,
    InvalidDelivery,
    Match,
    signed,
    verify,
)


SECRET, OTHER = b"wbhsec_one", b"wbhsec_two"
BODY = (
    b'{"data":{"type":"event","id":"evt_1","attributes":{"name":"inquiry.approved"}}}'
)
NOW = 1_767_225_600


def v1(secret=SECRET, time=NOW, body=BODY):
    return hmac.digest(secret, f"{time}.".encode() + body, hashlib.sha256).hex()


def one(secret=SECRET, time=NOW, body=BODY):
    return f"t={time},v1={v1(secret, time, body)}"


def judge(header, *, body=BODY, secrets=(SECRET,), now=NOW, tolerance=300):
    return verify(header, body, secrets, now=now, tolerance=tolerance)


def test_signature_of_the_documented_form_holds():
    assert judge(one()) == Match(0, NOW)


def test_header_may_be_bytes_and_anything_else_is_malformed():
    assert judge(one().encode()) == Match(0, NOW)
    assert judge("\ud800" + one()) is InvalidDelivery.MALFORMED
    assert judge(b"\xff" + one().encode()) is InvalidDelivery.MALFORMED
    for header in (7, [one()], {"t": 1}):
        assert judge(header) is InvalidDelivery.MALFORMED


def test_documented_example_of_a_message_is_signed_as_documented():
    expected = hmac.new(b"wbhsec_1", b'1.{"a":1}', hashlib.sha256).hexdigest()

    assert signed(b"wbhsec_1", 1, b'{"a":1}') == f"t=1,v1={expected}"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, InvalidDelivery.MISSING),
        ("", InvalidDelivery.MISSING),
        (" ", InvalidDelivery.MALFORMED),
        ("x" * 1_000_000, InvalidDelivery.HEADER_TOO_LONG),
        (one() + " " * MAX_HEADER_LENGTH, InvalidDelivery.HEADER_TOO_LONG),
        (f"t={NOW},t={NOW},v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t={NOW},v1={v1()},v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t={NOW},v0={v1()}", InvalidDelivery.MALFORMED),
        (f"v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t={NOW}", InvalidDelivery.MALFORMED),
        (f"t=,v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t=-{NOW},v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t=+{NOW},v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t={NOW}.0,v1={v1()}", InvalidDelivery.MALFORMED),
        (f"t=0000000000{NOW},v1={v1()}", InvalidDelivery.MALFORMED),
        ("t=\uff11\uff12,v1=" + v1(), InvalidDelivery.MALFORMED),
        (f"t={NOW},v1={v1()}\u00e9", InvalidDelivery.MALFORMED),
        (f"t={NOW},v1={v1()[:-1]}", InvalidDelivery.MALFORMED),
        (f"t={NOW},v1={v1()}0", InvalidDelivery.MALFORMED),
        (f"t={NOW}, v1={v1()}", InvalidDelivery.MALFORMED),
        (
            f"{one()}, {one()}",
            InvalidDelivery.MALFORMED,
        ),  # two header lines, as they are joined
        (f"{one()}  {one()}", InvalidDelivery.MALFORMED),
        (f"{one()}\n", InvalidDelivery.MALFORMED),
        (f"T={NOW},V1={v1()}", InvalidDelivery.MALFORMED),
        (f"{one()} rubbish", InvalidDelivery.MALFORMED),
        (" ".join([one()] * 9), InvalidDelivery.TOO_MANY_SETS),
        (f"t={NOW},v1={'0' * 64}", InvalidDelivery.MISMATCH),
        (one(OTHER), InvalidDelivery.MISMATCH),
        (f"t={NOW - 1},v1={v1()}", InvalidDelivery.MISMATCH),
    ],
)
def test_f140_header_of_any_other_form_is_refused(header, reason):
    assert judge(header) is reason


def test_f140_upper_case_hex_is_accepted():
    assert judge(f"t={NOW},v1={v1().upper()}") == Match(0, NOW)


def test_additional_signature_scheme_is_ignored():
    assert judge(f"{one()},v2=anything") == Match(0, NOW)


@pytest.mark.parametrize(
    ("off", "outcome"),
    [
        (-301, InvalidDelivery.TOO_OLD),
        (-299, Match(0, NOW - 299)),
        (299, Match(0, NOW + 299)),
        (301, InvalidDelivery.TOO_NEW),
    ],
)
def test_f141_time_may_be_off_by_the_tolerance_on_both_sides(off, outcome):
    assert judge(one(time=NOW + off)) == outcome


@pytest.mark.parametrize("order", [(SECRET, OTHER), (OTHER, SECRET)])
@pytest.mark.parametrize("known", [0, 1])
def test_f142_either_signature_is_accepted_during_a_rotation(order, known):
    header = f"{one(SECRET)} {one(OTHER)}"
    secrets = (order[known], b"wbhsec_of_another_webhook")

    assert judge(header, secrets=secrets) == Match(0, NOW)
    assert judge(header, secrets=secrets[::-1]) == Match(1, NOW)


def test_f142_each_signature_is_verified_with_its_own_time():
    header = f"{one(SECRET, NOW - 5000)} {one(OTHER, NOW)}"

    assert judge(header, secrets=(OTHER,)) == Match(0, NOW)
    assert judge(header, secrets=(SECRET,)) is InvalidDelivery.TOO_OLD


@pytest.mark.parametrize(
    "body",
    [
        BODY + b"\n",
        b"\xef\xbb\xbf" + BODY,
        BODY.replace(b":", b": "),
        BODY.replace(b"{", b"{\r\n"),
        b"",
    ],
)
def test_f143_changed_body_is_refused(body):
    assert judge(one(), body=body) is InvalidDelivery.MISMATCH


def test_body_over_five_mebibytes_is_not_even_hashed():
    body = b" " * (MAX_BODY + 1)

    assert judge(one(body=body), body=body) is InvalidDelivery.BODY_TOO_LARGE


@given(st.data())
def test_f140_no_single_change_of_a_header_is_accepted(data):
    header = one()
    place = data.draw(st.integers(0, len(header) - 1))
    letter = data.draw(st.characters(codec="utf-8"))
    changed = header[:place] + letter + header[place + 1 :]

    if changed.lower() != header:
        assert isinstance(judge(changed), InvalidDelivery)


@given(st.text(max_size=300))
def test_f140_no_header_raises(header):
    assert isinstance(judge(header), InvalidDelivery)
