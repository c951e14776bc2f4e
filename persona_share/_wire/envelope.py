"""The JSON:API envelope: bytes to a `Document`, and a document to the object asked for."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from persona_share._wire import codec
from persona_share._wire.messages import Request, Response
from persona_share.errors import MalformedResponseError
from persona_share.model.inquiry import Inquiry
from persona_share.model.resource import AnswerFacts, Document, Reference, Resource
from persona_share.model.verification import Verification


R = TypeVar("R", bound=Resource)

_KINDS: Final[Mapping[str, type[Resource]]] = {
    "inquiry": Inquiry,
    "verification": Verification,
}


def facts_of(response: Response) -> AnswerFacts:
    """Answer which request this was and who answered it."""
    headers = response.headers
    return AnswerFacts(
        request_id=headers.get("request-id"),
        organization_id=headers.get("persona-organization-id"),
        environment_id=headers.get("persona-environment-id"),
    )


def kind_of(type_name: str) -> type[Resource]:
    """Answer the class for a JSON:API type; a subtype is of its family's class."""
    return _KINDS.get(type_name) or _KINDS.get(type_name.partition("/")[0], Resource)


def document(request: Request, response: Response) -> Document:
    """Read a successful answer; raises `MalformedResponseError` if it is no document."""
    facts = facts_of(response)
    if not response.body:
        return Document(answer=facts, status=response.status)
    raw: Any = None
    with suppress(ValueError):
        raw = codec.parsed(response.body)
    if not isinstance(raw, dict):
        raise _malformed(request, response, "the body is not a JSON object")
    try:
        included = {
            Reference(each["type"], each["id"]): _resource(each, {}, facts)
            for each in raw.get("included") or ()
        }
        for each in included.values():
            each.included.update(included)  # type: ignore[attr-defined]  # a dict here
        data = raw.get("data")
        found: Resource | tuple[Resource, ...] | None = None
        if isinstance(data, list):
            found = tuple(_resource(each, included, facts) for each in data)
        elif data is not None:
            found = _resource(data, included, facts)
    except (TypeError, KeyError, AttributeError):
        raise _malformed(request, response, "an object lacks its type or id") from None
    return Document(
        data=found,
        included=included,
        links=_mapping(raw.get("links")),
        meta=_mapping(raw.get("meta")),
        answer=facts,
        status=response.status,
        raw=raw,
    )


def one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R:
    """Answer the one object that was asked for.

    Raises `MalformedResponseError` for any other object: an answer that belongs to
    another request must never be taken for ours.
    """
    found = document(request, response).data
    if not isinstance(found, kind):
        raise _malformed(request, response, f"the answer is not one {kind.__name__}")
    if object_id is not None and found.id != object_id:
        raise _malformed(request, response, "the answer is another object")
    return found


def _resource(
    raw: Any, included: Mapping[Reference, Resource], facts: AnswerFacts
) -> Resource:
    type_name, object_id = raw["type"], raw["id"]
    if not isinstance(type_name, str) or not isinstance(object_id, str):
        raise TypeError
    return kind_of(type_name)(
        type=type_name,
        id=object_id,
        attributes=_mapping(raw.get("attributes")),
        relationships=_mapping(raw.get("relationships")),
        included=included,
        answer=facts,
        raw=raw,
        codec=codec,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _malformed(
    request: Request, response: Response, why: str
) -> MalformedResponseError:
    facts = facts_of(response)
    return MalformedResponseError(
        why,
        operation=request.operation,
        status=response.status,
        attempts=response.attempts,
        request_id=facts.request_id,
        organization_id=facts.organization_id,
        environment_id=facts.environment_id,
    )
