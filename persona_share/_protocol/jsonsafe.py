"""JSON from strangers: parsed strictly, bounded in depth, never a crash (T19).

orjson already refuses what is not UTF-8, NaN, infinity, numbers too large for a double,
lone surrogates, and a depth over 1,024, without any recursion of Python's; a byte order
mark is tolerated (RFC 8259 §8.1). A bound of our own would cost as much as the parsing,
and nothing in this package recurses over what came.
"""

from typing import Final

import orjson


_BOM: Final = b"\xef\xbb\xbf"


class NotJsonError(ValueError):
    """The bytes are not JSON that can be trusted; the text says why, without them."""


def parse_json(body: bytes) -> object:
    """Answer the value of a JSON text.

    Raises:
        NotJsonError: it is none, or it is nested too deeply.
    """
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except (ValueError, RecursionError, MemoryError):
        pass  # orjson's exception holds the whole body, so it goes no further
    message = "it is not JSON" if body.removeprefix(_BOM) else "it is empty"
    raise NotJsonError(message)
