"""Request bodies: forms and JSON with known attributes, in any of the three casings."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import attrs
import orjson

from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.records import Json
from persona_share.sandbox.state.requests import Request


FORM: Final = "application/x-www-form-urlencoded"

_CASE_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def kebab(name: str) -> str:
    """Return the name of a parameter in kebab-case."""
    return _CASE_BOUNDARY.sub("-", name).replace("_", "-").lower()


def read_form(body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a form by their kebab-case names.

    Raises:
        ApiError: 400 for another content type, bytes that are not text, or a repetition.
    """
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != FORM:
        raise ApiError(400, f"the body must be {FORM}")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise ApiError(400, "the body is not a form") from None
    form = {kebab(name): value for name, value in pairs}
    if len(form) != len(pairs):
        raise ApiError(400, "a parameter was sent twice")
    return form


def check(
    form: Mapping[str, str], *, required: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Refuse a missing or an unknown parameter with 400, without repeating a value."""
    needed = tuple(required)
    for name in needed:
        if not form.get(name):
            raise ApiError(400, f"{name.replace('-', '_')} is missing")
    if set(form) - {*needed, *optional}:
        # The name is not repeated: a client may have sent a secret by mistake.
        raise ApiError(400, "a parameter was sent that is not permitted here")


#: The maximum nesting of objects, which later responses contain.
MAX_DEPTH: Final = 32


@attrs.frozen
class Primitive:
    """A scalar, or an object that is not validated."""

    word: str
    types: tuple[type, ...]
    nullable: bool = False
    fits: Callable[[Any], bool] = lambda _value: True


@attrs.frozen
class Nullable:
    """A shape whose value may be null."""

    shape: "Shape"


Shape: TypeAlias = "Primitive | Nullable | Mapping[str, Shape] | list[Shape]"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


STRING: Final = Primitive("a string", (str,))
DATE: Final = Primitive("a date", (str,), fits=_is_date)
STRING_OR_NULL: Final = Primitive("a string", (str,), nullable=True)
BOOLEAN: Final = Primitive("a boolean", (bool,))
INTEGER: Final = Primitive("an integer", (int,))
INTEGER_OR_NULL: Final = Primitive("an integer", (int,), nullable=True)
NUMBER: Final = Primitive("a number", (int, float))
NUMBER_OR_NULL: Final = Primitive("a number", (int, float), nullable=True)
OBJECT: Final = Primitive("an object", (dict,))
OBJECT_OR_NULL: Final = Primitive("an object", (dict,), nullable=True)
SCALAR: Final = Primitive("a string, a number or a boolean", (str, int, float, bool))
STRINGS: Final[Shape] = [STRING]
STRINGS_OR_NULL: Final = Nullable([STRING])


def read_body(request: Request, shape: Shape, switches: Switches) -> Json:
    """Return the body in kebab-case; a missing body is an empty object.

    Raises:
        ApiError: 400 with the path of the attribute, without its value.
    """
    document: Any = {}
    if request.body:
        media_type = request.headers.get("Content-Type", "").partition(";")[0]
        if media_type.strip().lower() != "application/json":
            raise ApiError(400, "the body must be application/json")
        try:
            document = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            raise ApiError(400, "the body is not JSON") from None
    if document is None and isinstance(shape, Mapping) and not _required(shape):
        document = {}  # some clients send null for no body
    validated: Json = _validated(document, shape, (), closed=switches.refuses_unknown)
    return validated


def _required(shape: Mapping[str, Shape]) -> bool:
    return any(name.endswith("*") for name in shape)


def _validated(value: Any, shape: Shape, path: tuple[str, ...], *, closed: bool) -> Any:
    if isinstance(shape, Primitive):
        return _primitive(value, shape, path)
    if isinstance(shape, Nullable):
        if value is None:
            return None
        return _validated(value, shape.shape, path, closed=closed)
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise _type_error(path, "an array")
        (inner,) = shape
        return [_validated(each, inner, path, closed=closed) for each in value]
    return _object(value, shape, path, closed=closed)


def _object(
    value: Any, shape: Mapping[str, Shape], path: tuple[str, ...], *, closed: bool
) -> Json:
    if not isinstance(value, dict):
        raise _type_error(path, "an object")
    given = {kebab(name): each for name, each in value.items()}
    if len(given) != len(value):
        raise ApiError(400, "an attribute was sent twice")
    validated = {}
    for starred, inner in shape.items():
        name = starred.rstrip("*")
        if name in given:
            validated[name] = _validated(
                given.pop(name), inner, (*path, name), closed=closed
            )
        elif starred != name:
            missing = (*path, name)
            raise ApiError(
                400, f"{_dotted(missing)} is missing", pointer=_pointer(missing)
            )
    if given and closed:
        # The names are not repeated: a client may have sent a secret by mistake.
        raise ApiError(400, "an attribute was sent that is not permitted here")
    return validated


def _primitive(value: Any, primitive: Primitive, path: tuple[str, ...]) -> Any:
    if value is None and primitive.nullable:
        return None
    if primitive.types == (int,) and isinstance(value, float) and value.is_integer():
        value = int(value)
    is_boolean = isinstance(value, bool)
    if not isinstance(value, primitive.types) or (
        is_boolean and bool not in primitive.types
    ):
        raise _type_error(path, primitive.word)
    if not primitive.fits(value):
        raise _type_error(path, primitive.word)
    if isinstance(value, dict) and not _is_shallow(value, MAX_DEPTH):
        raise ApiError(400, f"{_dotted(path)} is nested too deeply")
    return value


def _is_shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)


def _type_error(path: tuple[str, ...], word: str) -> ApiError:
    details = f"{_dotted(path) or 'the body'} must be {word}"
    return ApiError(400, details, pointer=_pointer(path))


def _pointer(path: tuple[str, ...]) -> str:
    return "".join(f"/{name}" for name in path)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path).replace("-", "_")
