"""A look at the source of a share token, before it is redeemed."""

from typing import Any, Final

from persona_share.sandbox.forms import kebab
from persona_share.sandbox.records import PERMISSIONS_OF, Json, Record
from persona_share.sandbox.state import State


#: Sources that have a shape of their own.
_SOURCES: Final = frozenset(
    {
        "inquiry",
        "account",
        "transaction",
        "verification/database",
        "verification/phone-number",
        "verification/email-address",
    }
)
#: What stands beside an inquiry.
_RELATED: Final = frozenset(
    {
        "account",
        "verification/database",
        "verification/phone-number",
        "verification/email-address",
        "verification/government-id",
        "verification/selfie",
        "verification/document",
    }
)
#: Attributes and fields whose value is shown; of all others, just their presence.
_OPEN: Final = frozenset(
    {"status", "name", "name-first", "name-middle", "name-last", "country", "amount"}
)


def source_data(state: State, source: Record) -> Json | None:
    """Answer what the destination may see, None for a source without a shape."""
    if source.type not in _SOURCES:
        return None
    data = _peeked(source)
    if source.family == "inquiry":
        data["related-objects"] = [_peeked(kin) for kin in _kin(state, source)]
    return data


def _peeked(record: Record) -> Json:
    word = PERMISSIONS_OF.get(record.type, record.type)
    attributes: Json = {}
    for name in ("status", "reference-id"):
        if name in record.attributes:
            attributes[name] = _shown(name, record.attributes[name])
    if record.family != "verification":
        attributes["fields"] = {
            name: _shown(name, field.get("value") if isinstance(field, dict) else field)
            for name, field in record.attributes["fields"].items()
        }
    return {
        "type": f"connect/source-data/{word}",
        "id": record.id,
        "peekable-attributes": attributes,
    }


def _shown(name: str, value: Any) -> Json:
    if kebab(name) in _OPEN:
        return {"visibility": "full", "value": value}
    return {"visibility": "presence", "value": value is not None}


def _kin(state: State, inquiry: Record) -> list[Record]:
    names = [
        *(inquiry.related("verifications") or ()),
        *(inquiry.related("account") or ()),
    ]
    found = [state.records.get(each["id"]) for each in names]
    return [each for each in found if each is not None and each.type in _RELATED]
