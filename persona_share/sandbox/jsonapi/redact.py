"""Redaction: removes the personal data of an object."""

from collections.abc import Iterable
from typing import Any, Final

from persona_share.sandbox.jsonapi.create import timestamp
from persona_share.sandbox.jsonapi.events import emit
from persona_share.sandbox.jsonapi.query import ONE, check_include, check_query
from persona_share.sandbox.jsonapi.read import Handler, requested_record
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.jsonapi.update import (
    conflict,
    is_redacted,
    mark_updated,
    refuse_redacted,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


#: Attributes without personal data.
KEPT: Final = frozenset(
    {
        "account-status",
        "account-type-name",
        "behaviors",
        "checks",
        "country-code",
        "creator",
        "has-match",
        "is-continuous",
        "is-recurring",
        "kind",
        "name",
        "next-step-name",
        "previous-step-name",
        "report-template-version-name",
        "resolution",
        "status",
        "tags",
    }
)
_BIOMETRIC: Final = frozenset({"verification/selfie", "verification/government-id"})


def redact_handler(family: str, event: str | None = None) -> Handler:
    """Return the handler that redacts an object, and what belongs to it."""

    def redact(state: State, request: Request) -> Response:
        check_query(state, request, ONE)
        check_include(request, family)
        record = requested_record(state, request, family, "write")
        if request.caller.token is not None and not state.switches.scoped_redact:
            raise ApiError(403, "an access token may not redact")
        if request.body:
            raise ApiError(400, "this operation takes no body")
        refuse_redacted(record)
        if record.internal.get("locked"):
            raise conflict(state, "the object is locked by an investigation")
        _redact(state, record)
        related_records = list(_related_records(state, record))
        if state.switches.redacts_related_at_once:
            _redact_all(state, related_records)
        else:
            state.scheduler.at(
                state.runtime.now() + 1,
                lambda _due: _redact_all(state, related_records),
            )
        if event is not None:
            emit(state, record, event)
        return render_one(state, record, request)

    return redact


def redact_biometrics(state: State, record: Record, _body: object) -> None:
    """Redact the biometric data of a transaction and of what belongs to it."""
    if record.internal.get("biometrics-redacted"):
        raise ApiError(409, title="Biometrics already redacted")
    record.internal["biometrics-redacted"] = True
    related_records = [
        each for each in _related_records(state, record) if each.type in _BIOMETRIC
    ]
    _redact_all(state, related_records)


def _redact_all(state: State, records: Iterable[Record]) -> None:
    for record in records:
        if not is_redacted(record) and not record.internal.get("locked"):
            _redact(state, record)


def _redact(state: State, record: Record) -> None:
    now = timestamp(state.runtime.now())
    for name, value in list(record.attributes.items()):
        if name in KEPT or name.endswith(("-at", "-at-ts")):
            continue
        state.files.forget(value)
        if record.family == "report":  # what it found may not be null there
            del record.attributes[name]
        else:
            record.attributes[name] = _emptied(value)
    if "redacted-at" in record.attributes:
        record.attributes["redacted-at"] = now
    record.internal["redacted"] = now
    mark_updated(state, record)


def _emptied(value: Any) -> Any:
    """Return the value that replaces personal data."""
    if isinstance(value, list):
        return []
    if isinstance(value, dict):
        if "value" in value and not isinstance(value["value"], dict | list):
            return value | {"value": None}
        return {
            name: each if name == "type" else _emptied(each)
            for name, each in value.items()
        }
    return value if isinstance(value, bool) else None


def _related_records(state: State, record: Record) -> Iterable[Record]:
    """Yield the related objects that are redacted with an object."""
    for name in ("verifications", "documents", "reports", "sessions"):
        for relationship_to in record.related(name) or ():
            related_records = state.records.get(relationship_to["id"])
            if related_records is not None and related_records.owner is record.owner:
                yield related_records
    for related in record.internal.get("objects", ()):
        related_records = state.records.get(related)
        if related_records is not None:
            yield related_records
