"""JSON from strangers: parsed strictly, bounded in depth, never a crash (T19).

orjson already refuses what is not UTF-8, NaN, infinity, numbers too large for a double,
lone surrogates, and a depth over 1,024; a byte order mark is tolerated (RFC 8259 §8.1).
"""

from typing import Final

import orjson


#: Deeper than any answer of the API, and far from what exhausts a stack.
DEEPEST: Final = 64

_BOM: Final = b"\xef\xbb\xbf"
_ALL_BUT_STRUCTURE: Final = bytes(set(range(256)) - set(b'{}[]"\\'))
# Which of the two kinds a bracket is, the parser has checked.
_ONE_KIND: Final = bytes.maketrans(b"[]", b"{}")
_CONTAINERS: Final = frozenset((dict, list))


class NotJsonError(ValueError):
    """The bytes are not JSON that can be trusted; the text says why, without them."""


def parse_json(body: bytes) -> object:
    """Answer the value of a JSON text.

    Raises:
        NotJsonError: it is none, or it is nested too deeply.
    """
    body = body.removeprefix(_BOM)
    why = None
    value: object = None
    try:
        value = orjson.loads(body)
    except (ValueError, RecursionError, MemoryError):
        # orjson's exception holds the whole body, so it goes no further.
        why = "it is not JSON" if body else "it is empty"
    if why is None and _too_deep(body, value):
        why = "it is nested too deeply"
    if why is not None:
        raise NotJsonError(why)
    return value


def _too_deep(body: bytes, value: object) -> bool:
    """Answer whether a parsed value is nested too deeply, mostly from its brackets.

    Looking at the bytes costs a third of what a walk through the value does.
    """
    marks = body.translate(_ONE_KIND, _ALL_BUT_STRUCTURE)
    if marks.count(b"{") <= DEEPEST:
        return False
    if b"\\" in marks or 2 * marks.count(b'""') != marks.count(b'"'):
        return _depth_exceeds(value)  # a bracket may stand inside a string
    brackets = marks.translate(None, b'"')
    for _ in range(DEEPEST):
        brackets = brackets.replace(b"{}", b"")  # takes away the innermost level
        if not brackets:
            return False
    return True


def _depth_exceeds(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (
                outer.values()
                if isinstance(outer, dict)
                else outer
                if isinstance(outer, list)
                else ()
            )
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return True
