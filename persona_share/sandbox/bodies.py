"""Reading JSON bodies against a shape, with keys in any of the three casings.

A shape is a dictionary of names (``"name*"`` must be there), a list of one shape, or a
leaf. Every object is closed, as in the published description, but for the bags, whose
keys are data and stay as they are.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, TypeAlias

import attrs
import orjson

from persona_share.sandbox.calls import Call
from persona_share.sandbox.forms import kebab
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Json
from persona_share.sandbox.switches import Switches


#: How deep a bag may go; what is kept has to be written again.
DEEPEST: Final = 32


@attrs.frozen
class Leaf:
    """A value that is taken as it is."""

    word: str
    types: tuple[type, ...]
    nullable: bool = False
    fits: Callable[[Any], bool] = lambda _value: True


@attrs.frozen
class Maybe:
    """A shape that may be null."""

    shape: "Shape"


Shape: TypeAlias = "Leaf | Maybe | Mapping[str, Shape] | list[Shape]"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


TEXT: Final = Leaf("a string", (str,))
DATE: Final = Leaf("a date", (str,), fits=_is_date)
TEXT_OR_NULL: Final = Leaf("a string", (str,), nullable=True)
FLAG: Final = Leaf("a boolean", (bool,))
WHOLE: Final = Leaf("an integer", (int,))
WHOLE_OR_NULL: Final = Leaf("an integer", (int,), nullable=True)
NUMBER: Final = Leaf("a number", (int, float))
NUMBER_OR_NULL: Final = Leaf("a number", (int, float), nullable=True)
BAG: Final = Leaf("an object", (dict,))
BAG_OR_NULL: Final = Leaf("an object", (dict,), nullable=True)
SCALAR: Final = Leaf("a string, a number or a boolean", (str, int, float, bool))
TEXTS: Final[Shape] = [TEXT]
TEXTS_OR_NULL: Final = Maybe([TEXT])


def read_body(call: Call, shape: Shape, switches: Switches) -> Json:
    """Answer the body in kebab-case; no body at all is an empty object.

    Raises:
        Problem: 400, naming the place but no value.
    """
    document: Any = {}
    if call.body:
        media_type = call.headers.get("Content-Type", "").partition(";")[0]
        if media_type.strip().lower() != "application/json":
            raise Problem(400, "the body must be application/json")
        try:
            document = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            raise Problem(400, "the body is not JSON") from None
    taken: Json = _taken(document, shape, (), closed=switches.refuses_unknown)
    return taken


def _taken(value: Any, shape: Shape, path: tuple[str, ...], *, closed: bool) -> Any:
    if isinstance(shape, Leaf):
        return _leaf(value, shape, path)
    if isinstance(shape, Maybe):
        if value is None:
            return None
        return _taken(value, shape.shape, path, closed=closed)
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong(path, "an array")
        (inner,) = shape
        return [_taken(each, inner, path, closed=closed) for each in value]
    return _object(value, shape, path, closed=closed)


def _object(
    value: Any, shape: Mapping[str, Shape], path: tuple[str, ...], *, closed: bool
) -> Json:
    if not isinstance(value, dict):
        raise _wrong(path, "an object")
    given = {kebab(name): each for name, each in value.items()}
    if len(given) != len(value):
        raise Problem(400, "an attribute was sent twice")
    taken = {}
    for starred, inner in shape.items():
        name = starred.rstrip("*")
        if name in given:
            taken[name] = _taken(given.pop(name), inner, (*path, name), closed=closed)
        elif starred != name:
            raise Problem(400, f"{_words((*path, name))} is missing")
    if given and closed:
        # Their names are not repeated: a careless client may have sent a secret.
        raise Problem(400, "an attribute was sent that is not permitted here")
    return taken


def _leaf(value: Any, leaf: Leaf, path: tuple[str, ...]) -> Any:
    if value is None and leaf.nullable:
        return None
    if leaf.types == (int,) and isinstance(value, float) and value.is_integer():
        value = int(value)
    truth = isinstance(value, bool)
    if not isinstance(value, leaf.types) or (truth and bool not in leaf.types):
        raise _wrong(path, leaf.word)
    if not leaf.fits(value):
        raise _wrong(path, leaf.word)
    if isinstance(value, dict) and not _shallow(value, DEEPEST):
        raise Problem(400, f"{_words(path)} is nested too deeply")
    return value


def _shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_shallow(each, levels - 1) for each in inner)


def _wrong(path: tuple[str, ...], word: str) -> Problem:
    return Problem(400, f"{_words(path) or 'the body'} must be {word}")


def _words(path: tuple[str, ...]) -> str:
    return ".".join(path).replace("-", "_")
