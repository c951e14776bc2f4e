"""Query strings: Python values to percent-encoded text.

Every name and value is percent-encoded, ``+`` as ``%2B`` (page "Protocol").
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from urllib.parse import quote

from persona_share.errors import InvalidArgumentError


Scalar = str | int | float | bool | date | None
QueryValue = Scalar | Iterable[Scalar]


def _text(name: str, value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime() if value.tzinfo is None:
            message = f"{name} needs a datetime with a time zone"
            raise InvalidArgumentError(message)
        case date():
            return value.isoformat()
        case int() | float():
            return str(value)
        case _:
            message = f"{name} cannot be a {type(value).__name__} in a query"
            raise InvalidArgumentError(message)


def encoded_query(values: Mapping[str, QueryValue]) -> str:
    """Return ``?name=value&…``, or an empty text if every value is None.

    An iterable of values becomes one comma list.
    """
    pairs = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, Iterable) and not isinstance(value, str):
            text = ",".join(_text(name, each) for each in value)
        else:
            text = _text(name, value)
        try:
            pairs.append(f"{quote(name, safe='')}={quote(text, safe='')}")
        except UnicodeEncodeError:  # whose text would show the value
            message = f"{name!a} has a character that UTF-8 cannot encode"
        else:
            continue
        raise InvalidArgumentError(message)
    return "?" + "&".join(pairs) if pairs else ""
