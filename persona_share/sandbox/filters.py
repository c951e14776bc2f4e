"""The filters of the lists, by the name that the query gives them."""

from collections.abc import Mapping
from typing import Any, Final

from persona_share.sandbox.forms import kebab
from persona_share.sandbox.queries import Test, read_date
from persona_share.sandbox.records import Record


def is_one_of(name: str) -> Test:
    """Answer the test of an attribute against values between commas."""

    def test(record: Record, value: str) -> bool:
        return record.attributes.get(name) in value.split(",")

    return test


def equals(name: str) -> Test:
    """Answer the test of an attribute against one value."""

    def test(record: Record, value: str) -> bool:
        return bool(record.attributes.get(name) == value)

    return test


def relates_to(name: str) -> Test:
    """Answer the test whether a relationship names one of the ids."""

    def test(record: Record, value: str) -> bool:
        wanted = value.split(",")
        return any(each["id"] in wanted for each in record.related(name) or ())

    return test


def _has_id(record: Record, value: str) -> bool:
    return record.id in value.split(",")


def _of_object(record: Record, value: str) -> bool:
    data: Mapping[str, Any] = record.attributes["payload"]["data"]
    return data["id"] in value.split(",")


def _has_field(record: Record, value: str) -> bool:
    return kebab(value) in map(kebab, record.attributes["fields"])


def _has_value(record: Record, value: str) -> bool:
    fields = record.attributes["fields"].values()
    return any(isinstance(f, dict) and f.get("value") == value for f in fields)


def _since(record: Record, value: str) -> bool:
    return read_date(record.attributes["created-at"]) >= read_date(value)


def _until(record: Record, value: str) -> bool:
    return read_date(record.attributes["created-at"]) <= read_date(value)


ACCOUNTS: Final[Mapping[str, Test]] = {"reference-id": equals("reference-id")}
CASES: Final[Mapping[str, Test]] = {
    "status": is_one_of("status"),
    "case-template-id": relates_to("case-template"),
    "account-id": relates_to("accounts"),
    "reference-id": lambda record, value: record.hidden.get("reference-id") == value,
    "inquiry-id": relates_to("inquiries"),
    "report-id": relates_to("reports"),
}
CONNECTIONS: Final[Mapping[str, Test]] = {
    "status": is_one_of("status"),
    "destination-organization-id": is_one_of("destination-organization-id"),
}
DEVICES: Final[Mapping[str, Test]] = {
    "inquiry-session-id": lambda record, value: record.hidden.get("session") == value
}
EVENTS: Final[Mapping[str, Test]] = {
    "id": _has_id,
    "name": is_one_of("name"),
    "object-id": _of_object,
}
INQUIRIES: Final[Mapping[str, Test]] = {
    "inquiry-id": _has_id,
    "account-id": relates_to("account"),
    "note": equals("note"),
    "reference-id": equals("reference-id"),
    "inquiry-template-id": relates_to("inquiry-template"),
    "template-id": relates_to("template"),
    "status": is_one_of("status"),
    "created-at-start": _since,
    "created-at-end": _until,
}
RELATIONS: Final[Mapping[str, Test]] = {
    "key": lambda _record, _value: True,
    "created-at-start": _since,
    "created-at-end": _until,
}
REPORTS: Final[Mapping[str, Test]] = {
    "reference-id": lambda record, value: record.hidden.get("reference-id") == value,
    "account-id": relates_to("account"),
}
SESSIONS: Final[Mapping[str, Test]] = {"inquiry-id": relates_to("inquiry")}
SHARE_TOKENS: Final[Mapping[str, Test]] = {
    "connection-id": lambda record, value: record.hidden["connection"] == value,
    "status": is_one_of("status"),
    "direction": is_one_of("direction"),
}
TRANSACTIONS: Final[Mapping[str, Test]] = {
    "reference-id": equals("reference-id"),
    "transaction-type-id": relates_to("transaction-type"),
    "identifier][key": _has_field,
    "identifier][value": _has_value,
}
