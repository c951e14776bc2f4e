"""A client whose requests are kept and answered with the description's own examples."""

import inspect

import orjson

from persona_share._protocol.http import Response
from persona_share._protocol.routes import known
from persona_share.resources.base import Caller
from persona_share.resources.collection import Listing
from persona_share.testing.clock import fake_runtime
from persona_share.testing.http import ScriptedSender
from tests.contract.calls import CALLS, Plural
from tests.contract.description import operation_of


PDF = b"%PDF-1.7 nothing"
TOKEN = {
    "access-token": "persona_access_token_1",
    "token-type": "bearer",
    "expires-in": 3599,
    "scope": "inquiry.read:inq_1",
}


def caller(answers):
    """Answer what a client's resources stand on, with a scripted service below."""
    sender = ScriptedSender(answers)
    made = Caller(
        sender=sender,
        runtime=fake_runtime(),
        headers={},
        timeout=100.0,
        require_open=lambda: None,
    )
    return made, sender


def _object(kind, object_id, **attributes):
    return {"type": kind, "id": object_id, "attributes": attributes}


#: Responses of the operations whose examples are not held.
WITHOUT_EXAMPLE = {
    "POST /reports/{report-id}/review": (
        200,
        "",
        {"data": _object("report/screening", "rep_1", status="ready")},
    ),
    "POST /batch-jobs": (
        202,
        "",
        {"data": _object("batch-job", "mprtpr_1", status="pending")},
    ),
    "GET /batch-jobs/{batch-job-id}": (
        200,
        "",
        {"data": _object("batch-job", "mprtpr_1", status="completed")},
    ),
    "GET /batch-jobs/{batch-job-id}/errors": (
        200,
        "",
        {
            "data": [_object("batch-job-row-error", "1", **{"row-number": 1})],
            "meta": {"error-count": 1, "global-errors": []},
            "links": {},
        },
    ),
}


async def talk(name):
    """Make one of the calls; answer its requests and what it answered."""
    made, sender = caller([example_answer] * 5)
    resource = Plural[name.partition(".")[0]].value(made)
    answered = CALLS[name](resource)
    if isinstance(answered, Listing) or inspect.isawaitable(answered):
        answered = await answered
    assert answered is None or not inspect.isawaitable(answered)
    return sender.requests, answered


def example_answer(request):
    """Answer a request with the example of its operation, about the object asked for."""
    path = request.target.partition("?")[0]
    operation = operation_of(request.method, path)
    if operation is None:
        raise AssertionError(f"{request.method} {path} is not in the description")
    if request.route.endswith("/print"):
        return answer(200, PDF, "application/pdf")
    status, _, value = next(
        operation.examples(), WITHOUT_EXAMPLE.get(request.operation)
    )
    _, ids = known(request.method, path)
    value = about(value, ids[0] if ids else None)
    if "links" in value:
        value = value | {"links": {"prev": None, "next": None}}
    if path.startswith("/connect/share-tokens/") and request.method == "GET":
        value["data"]["attributes"]["status"] = "redeemed"
    return answer(status, orjson.dumps(value))


def about(value, object_id):
    """Answer an example with the id of the object that was asked for."""
    data = value.get("data")
    if object_id is None or not isinstance(data, dict):
        return value
    attributes = dict(data.get("attributes", {}))
    return value | {"data": data | {"id": object_id, "attributes": attributes}}


def answer(status, body, kind="application/json"):
    return Response(status=status, headers={"content-type": kind}, body=body)
