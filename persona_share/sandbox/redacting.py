"""Redaction: personal data go, the object stays."""

from collections.abc import Iterable
from typing import Any, Final

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.events import emit
from persona_share.sandbox.includes import check_include
from persona_share.sandbox.making import moment
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import ONE, check_query
from persona_share.sandbox.reading import Handler, named
from persona_share.sandbox.records import Record
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import conflict, is_redacted, refuse_redacted, touch


#: Attributes that say nothing about a person.
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


def redacter(family: str, event: str | None = None) -> Handler:
    """Answer the handler that redacts an object, and what belongs to it."""

    def redact(state: State, call: Call) -> Reply:
        check_query(state, call, ONE)
        check_include(call, family)
        record = named(state, call, family, "write")
        if call.caller.token is not None and not state.switches.scoped_redact:
            raise Problem(403, "an access token may not redact")
        if call.body:
            raise Problem(400, "this operation takes no body")
        refuse_redacted(record)
        if record.hidden.get("locked"):
            raise conflict(state, "the object is locked by an investigation")
        _redact(state, record)
        kin = list(_kin(state, record))
        if state.switches.redacts_kin_at_once:
            _redact_all(state, kin)
        else:
            state.agenda.at(state.world.now() + 1, lambda _due: _redact_all(state, kin))
        if event is not None:
            emit(state, record, event)
        return state.rendering.one(record, call)

    return redact


def redact_biometrics(state: State, record: Record, _body: object) -> None:
    """Redact the biometric data of a transaction and of what belongs to it."""
    if record.hidden.get("biometrics-redacted"):
        raise Problem(409, title="Biometrics already redacted")
    record.hidden["biometrics-redacted"] = True
    kin = [each for each in _kin(state, record) if each.type in _BIOMETRIC]
    _redact_all(state, kin)


def _redact_all(state: State, records: Iterable[Record]) -> None:
    for record in records:
        if not is_redacted(record) and not record.hidden.get("locked"):
            _redact(state, record)


def _redact(state: State, record: Record) -> None:
    now = moment(state.world.now())
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
    record.hidden["redacted"] = now
    touch(state, record)


def _emptied(value: Any) -> Any:
    """Answer what stands where personal data stood."""
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


def _kin(state: State, record: Record) -> Iterable[Record]:
    """Go through what belongs to an object and to nobody else."""
    for name in ("verifications", "documents", "reports", "sessions"):
        for reference in record.related(name) or ():
            kin = state.records.get(reference["id"])
            if kin is not None and kin.owner is record.owner:
                yield kin
    for related in record.hidden.get("objects", ()):
        kin = state.records.get(related)
        if kin is not None:
            yield kin
