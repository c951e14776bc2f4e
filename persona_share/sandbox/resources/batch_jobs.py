"""Batch jobs: many accounts or inquiries changed by one request."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from persona_share.sandbox.jsonapi.body import (
    BOOLEAN,
    OBJECT,
    STRING,
    Shape,
    kebab,
    read_body,
)
from persona_share.sandbox.jsonapi.objects import timestamp
from persona_share.sandbox.jsonapi.operations import (
    Operation,
    Routes,
    attributes_of,
    is_redacted,
    mark_updated,
    require_write_permission,
)
from persona_share.sandbox.jsonapi.read import ONE, check_include, check_query
from persona_share.sandbox.jsonapi.rendering import json_response, render_one
from persona_share.sandbox.resources import accounts, inquiries
from persona_share.sandbox.resources.templates import known_template
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import PREFIX, State


CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            "operation*": STRING,
            "object*": STRING,
            "lookup-field*": STRING,
            "emit-events": BOOLEAN,
            "account-type-id": STRING,
            "rows*": [OBJECT],
        }
    }
}
_MAX_ROWS: Final = 1000
#: Combinations of object, operation and lookup field.
_COMBINATIONS: Final = frozenset(
    {
        ("account", "update", "token"),
        ("account", "update", "reference-id"),
        ("account", "upsert", "reference-id"),
        ("inquiry", "update", "token"),
    }
)
#: Columns that are not fields.
_COLUMNS: Final = frozenset({"token", "account-type-id"})
_Done = Literal["created", "updated"]


def create(state: State, request: Request) -> Response:
    """Process the rows and return the job."""
    check_query(state, request, ONE)
    check_include(request, "batch-job")
    given = attributes_of(read_body(request, CREATE, state.switches))
    kind, rows = given["object"], given["rows"]
    lookup = given["lookup-field"].replace("_", "-")
    if (kind, given["operation"], lookup) not in _COMBINATIONS:
        details = "this operation and lookup_field are not supported for the object"
        raise ApiError(400, details, pointer="/data/attributes/operation")
    if not 1 <= len(rows) <= _MAX_ROWS:
        raise ApiError(400, f"data.attributes.rows takes 1 to {_MAX_ROWS} rows")
    require_write_permission(state, request.caller, kind)
    job = _new_job(state, request, rows)
    seconds = state.switches.batch_job_seconds
    if seconds > 0:
        due = state.runtime.now() + seconds
        state.scheduler.at(
            due, job, lambda each, at: _run(state, request, each, given, at)
        )
    else:
        _run(state, request, job, given, state.runtime.now())
    return render_one(state, job, request, status=202)


def _new_job(state: State, request: Request, rows: list[Json]) -> Record:
    now = timestamp(state.runtime.now())
    columns = dict.fromkeys(name for row in rows for name in row)
    job = Record(
        state.runtime.new_id("mprtpr"),
        "batch-job",
        {
            "status": "pending",
            "run-count": 0,
            "started-at": None,
            "ended-at": None,
            "created-at": now,
            "updated-at": now,
            "redacted-at": None,
            "run-data": {"column-names": list(columns), "row-count": len(rows)},
        },
        {},
        request.caller.environment,
    )
    job.internal["errors"] = []
    state.records.add(job)
    return job


def _run(state: State, request: Request, job: Record, given: Json, at: float) -> None:
    counts = {"created": 0, "updated": 0}
    errors: list[Json] = job.internal["errors"]
    for number, row in enumerate(given["rows"], 1):
        columns = {kebab(name): value for name, value in row.items()}
        try:
            counts[_process(state, request, given, columns)] += 1
        except ApiError as error:
            attributes = {
                "row": row,
                "error-message": error.details or error.title,
                "row-number": number,
            }
            errors.append(attributes)
    done = timestamp(at)
    job.attributes |= {
        "status": "completed",
        "run-count": 1,
        "started-at": done,
        "ended-at": done,
    }
    job.attributes["run-data"] |= {
        "error-count": len(errors),
        "rows-read": len(given["rows"]),
        "success-count": sum(counts.values()),
        "created-count": counts["created"],
        "updated-count": counts["updated"],
    }
    mark_updated(state, job)


def _process(state: State, request: Request, given: Json, row: Json) -> _Done:
    owner = request.caller.environment
    name = given["lookup-field"].replace("_", "-")
    key = row.get(name)
    if not isinstance(key, str):
        raise ApiError(400, f"{name.replace('-', '_')} is missing")
    found = _existing(state, request, given["object"], name, key)
    body = {"data": {"attributes": _attributes(given["object"], row)}}
    if found is not None:
        if is_redacted(found):
            raise ApiError(409, "the object was redacted")
        change = accounts.update if given["object"] == "account" else inquiries.update
        change(state, found, body)
        mark_updated(state, found)
        return "updated"
    if given["operation"] != "upsert":
        raise ApiError(404, "no object has this value in the lookup field")
    type_id = row.get("account-type-id") or given.get("account-type-id")
    if not isinstance(type_id, str):
        raise ApiError(400, "account_type_id is missing")
    known_template(state, owner, "account-type", type_id, status=404)
    body["data"]["attributes"]["account-type-id"] = type_id
    accounts.create(state, request.caller, body)
    return "created"


def _existing(
    state: State, request: Request, kind: str, name: str, key: str
) -> Record | None:
    owner = request.caller.environment
    if name == "token":
        return state.records.owned(kind, key, owner)
    for record in state.records.of_family(kind):
        if record.owner is owner and record.attributes["reference-id"] == key:
            return record
    return None


def _attributes(kind: str, row: Mapping[str, Any]) -> Json:
    """Return the columns as attributes and fields of the object."""
    known = accounts.FLAT_ATTRIBUTES if kind == "account" else frozenset()
    attributes: Json = {"fields": {}}
    for name, value in row.items():
        if name in _COLUMNS:
            continue
        if name in known or name == "reference-id":
            if not isinstance(value, str):
                raise ApiError(400, f"{name.replace('-', '_')} must be a string")
            attributes[name] = value
        else:
            attributes["fields"][name.replace("-", "_")] = value
    return attributes


def retrieve(state: State, request: Request) -> Response:
    """Return a job."""
    check_query(state, request, ONE)
    check_include(request, "batch-job")
    return render_one(state, _requested(state, request), request)


def list_errors(state: State, request: Request) -> Response:
    """Return the rows that failed, by pages of row numbers."""
    check_query(state, request, {"page"})
    job = _requested(state, request)
    errors: list[Json] = job.internal["errors"]
    query = dict(request.query)
    size = min(_number(query, "size", 100), 100)
    after, before = _number(query, "after", 0), _number(query, "before", _MAX_ROWS + 1)
    found = [each for each in errors if after < each["row-number"] < before]
    page, more = found[:size], found[size:]
    data = [
        {
            "type": "batch-job-row-error",
            "id": f"{job.id}-{each['row-number']}",
            "attributes": each,
        }
        for each in page
    ]
    path = f"{PREFIX}{request.path}?page%5Bafter%5D="
    links = {
        "prev": None,
        "next": f"{path}{page[-1]['row-number']}" if more else None,
    }
    meta = {"error-count": len(errors), "global-errors": []}
    return json_response({"data": data, "meta": meta, "links": links}, request)


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(f"page[{name}]")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise ApiError(400, f"page.{name} must be a positive integer")
    return int(text[:9])


def _requested(state: State, request: Request) -> Record:
    caller = request.caller
    if caller.token is not None:
        error = state.records.permission_error("batch-job", caller)
        raise error
    job = state.records.owned("batch-job", request.object_id or "", caller.environment)
    if job is None:
        raise ApiError(404)
    return job


_JOB: Final = "/batch-jobs/{batch-job-id}"
ROUTES: Final[Routes] = {
    "POST /batch-jobs": Operation("create-a-batch-job", create),
    f"GET {_JOB}": Operation("retrieve-a-batch-job", retrieve),
    f"GET {_JOB}/errors": Operation("retrieve-batch-job-errors", list_errors),
}
