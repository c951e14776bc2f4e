"""Fields as a request gives them: bare values, by names in any casing."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from persona_share.sandbox.jsonapi.body import kebab
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.records import Json
from persona_share.sandbox.state.state import State


_TYPES: Final = {bool: "boolean", int: "number", float: "number", list: "array"}
#: The kinds of fields by name: ``text`` and ``date`` hold a string or null, ``bag``
#: strings by name, ``rows`` a list of bags, ``file`` bytes in base64; the others are
#: named as in the API.
Kinds = Mapping[str, str]


def field_values(
    state: State,
    fields: Mapping[str, Any],
    kinds: Kinds,
    *,
    declared_only: bool = False,
) -> Json:
    """Return fields with their types, spelled as they are declared.

    Raises:
        ApiError: 400 for a value of another type than declared, and with
            ``declared_only`` for a field that is not declared.
    """
    spelled = {kebab(name): name for name in kinds}
    made: Json = {}
    for name, value in fields.items():
        known = spelled.get(kebab(name))
        if known is None and declared_only:
            # The name is not repeated: it may be a misplaced secret.
            details = "data.attributes.fields has a field that is not declared"
            raise ApiError(400, details, pointer="/data/attributes/fields")
        if known is None:
            made[name] = {"type": _TYPES.get(type(value), "string"), "value": value}
            if isinstance(value, dict):
                made[name]["type"] = "hash"
        else:
            made[known] = _READERS[kinds[known]](state, known, value)
    return made


def _text(_state: State, name: str, value: Any) -> Json:
    return {"type": "string", "value": _checked(name, value)}


def _date(_state: State, name: str, value: Any) -> Json:
    return {"type": "date", "value": _checked(name, value)}


def _bag(_state: State, name: str, value: Any) -> Json:
    if not isinstance(value, dict):
        raise _type_error(name, "an object")
    return {
        "type": "hash",
        "value": {
            kebab(part).replace("-", "_"): {
                "type": "string",
                "value": _checked(name, each),
            }
            for part, each in value.items()
        },
    }


def _rows(state: State, name: str, value: Any) -> Json:
    if not isinstance(value, list):
        raise _type_error(name, "an array")
    rows = [_bag(state, name, each) for each in value]
    if any(part["value"] is None for row in rows for part in row["value"].values()):
        raise _type_error(name, "an array of objects of strings")
    return {"type": "array", "value": rows}


def _file(state: State, name: str, value: Any) -> Json:
    if value is None:
        return {"type": "file", "value": None}
    if not isinstance(value, dict):
        raise _type_error(name, "an object")
    data, filename = value.get("data"), value.get("filename", "file.bin")
    if not isinstance(data, str) or not isinstance(filename, str):
        raise _type_error(name, "an object with data and filename")
    return {"type": "file", "value": stored_upload(state, data, filename)}


def stored_upload(state: State, data: str, filename: str) -> object:
    """Return the stored file of a body's base64.

    Raises:
        ApiError: 422 where it is no base64.
    """
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(422, "the data of a file must be base64") from None
    return state.files.add(filename, content, "application/octet-stream")


def _checked(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _type_error(name, "a string")


def _type_error(name: str, word: str) -> ApiError:
    pointer = f"/data/attributes/fields/{name}"
    details = f"data.attributes.fields.{kebab(name)} must be {word}"
    return ApiError(400, details, pointer=pointer)


def _plain(kind: str, word: str, *types: type) -> "_Reader":
    """Return the reader of values of some JSON types, or null."""

    def read(_state: State, name: str, value: Any) -> Json:
        truth = isinstance(value, bool) and bool not in types
        if value is not None and (truth or not isinstance(value, types)):
            raise _type_error(name, word)
        return {"type": kind, "value": value}

    return read


def _multi_choices(_state: State, name: str, value: Any) -> Json:
    strings = isinstance(value, list) and all(isinstance(e, str) for e in value)
    if value is not None and not strings:
        raise _type_error(name, "an array of strings")
    return {"type": "multi_choices", "value": value}


def _document(kind: str) -> "_Reader":
    """Return the reader of references to documents."""

    def read(_state: State, name: str, value: Any) -> Json:
        if value is not None and not (
            isinstance(value, dict) and value.keys() == {"id", "type"}
        ):
            raise _type_error(name, "an object with id and type")
        return {"type": kind, "value": value}

    return read


_Reader = Callable[[State, str, Any], Json]
_READERS: Final[Mapping[str, _Reader]] = {
    "boolean": _plain("boolean", "a boolean", bool),
    "choices": _plain("choices", "a string", str),
    "generic": _document("generic"),
    "government_id": _document("government_id"),
    "json": _plain("json", "JSON", dict, list, str, int, float, bool),
    "multi_choices": _multi_choices,
    "number": _plain("number", "a number", int, float),
    "selfie": _document("selfie"),
    "text": _text,
    "date": _date,
    "bag": _bag,
    "rows": _rows,
    "file": _file,
}
