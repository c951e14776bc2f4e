"""Strict JSON: limited depth, and exact integers.

orjson rejects bytes that are not UTF-8, NaN, infinity, lone surrogates, and a depth
over 1,024. A byte order mark is ignored (RFC 8259 §8.1). orjson parses integers over 64
bits as floats, so a body with such an integer is parsed again by the standard library,
which is exact.
"""

import json
from typing import Final

import orjson


_BOM: Final = b"\xef\xbb\xbf"
# An integer over 64 bits has at least 19 digits, so every fourth byte of the body
# contains four consecutive digits, with only digits between them. ISO 8601 times do
# not match. A regular expression over the whole body costs ten times as much as
# parsing it.
_STEP: Final = 4
_CONSECUTIVE: Final = b"0000"
_SPAN: Final = 3 * _STEP + 1
_DIGITS_ARE_ZERO: Final = bytes(
    ord("0") if byte in b"0123456789" else byte for byte in range(256)
)


class NotJsonError(ValueError):
    """The bytes are not valid JSON; the text never shows them."""


def parse_json(body: bytes) -> object:
    """Return the value of a JSON text; integers are exact.

    Raises:
        NotJsonError: It is not JSON, is nested too deeply, or has too long a number.
    """
    text = body.removeprefix(_BOM)
    try:
        value = orjson.loads(text)
        if _has_long_number(text):
            value = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        pass  # orjson's exception contains the whole body, so it is not chained
    else:
        return value
    message = "it is not JSON" if text else "it is empty"
    raise NotJsonError(message)


def _has_long_number(text: bytes) -> bool:
    """Return whether there may be an integer over 64 bits."""
    sample = text[::_STEP].translate(_DIGITS_ARE_ZERO)
    found = sample.find(_CONSECUTIVE)
    while found >= 0:
        start = found * _STEP
        if text[start : start + _SPAN].isdigit():
            return True
        found = sample.find(_CONSECUTIVE, found + 1)
    return False


def dump_json(value: object) -> bytes:
    """Return a JSON text; integers of any size are exact.

    Raises:
        TypeError: The value has a part that JSON cannot express.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:  # orjson's JSONEncodeError
        if "64-bit" not in str(error):
            raise
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()
