"""Fields as a request gives them: bare values, by names in any casing."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from persona_share.sandbox.jsonapi.body import kebab
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.records import Json
from persona_share.sandbox.state.state import State


_WORDS: Final = {bool: "boolean", int: "number", float: "number", list: "array"}
#: The kinds of a usual field: ``text`` and ``date`` hold text or null, ``bag`` a few
#: texts by name, ``rows`` a list of such, ``file`` bytes in base64.
Kinds = Mapping[str, str]


def field_values(state: State, fields: Mapping[str, Any], usual: Kinds) -> Json:
    """Return fields with their types; the usual ones are checked and spelled right.

    Raises:
        ApiError: 400 where a usual field has another type of value.
    """
    spelled = {kebab(name): name for name in usual}
    made: Json = {}
    for name, value in fields.items():
        known = spelled.get(kebab(name))
        if known is None:
            made[name] = {"type": _WORDS.get(type(value), "string"), "value": value}
            if isinstance(value, dict):
                made[name]["type"] = "hash"
        else:
            made[known] = _USUAL[usual[known]](state, known, value)
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
    return ApiError(400, f"data.attributes.fields.{kebab(name)} must be {word}")


_USUAL: Final[Mapping[str, Callable[[State, str, Any], Json]]] = {
    "text": _text,
    "date": _date,
    "bag": _bag,
    "rows": _rows,
    "file": _file,
}
