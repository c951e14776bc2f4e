"""An operation of the API: its documented id and its handler."""

from typing import Final

import attrs

from persona_share.sandbox.jsonapi.body import STRING, STRINGS, Shape
from persona_share.sandbox.jsonapi.create import stored_tags
from persona_share.sandbox.jsonapi.read import Handler
from persona_share.sandbox.jsonapi.redact import redact_handler
from persona_share.sandbox.jsonapi.update import Change, meta_of, update_handler
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


@attrs.frozen
class Operation:
    """One operation; the id is None where Persona documents no such operation."""

    id: str | None
    handler: Handler

    def __call__(self, state: State, request: Request) -> Response:
        """Return the response to a request."""
        return self.handler(state, request)


#: Operations by method and documented path.
Routes = dict[str, Operation]


def redact_route(family: str, template: str, operation_id: str) -> Routes:
    """Return the operation that redacts an object."""
    handler = redact_handler(family, f"{family}.redacted")
    return {f"DELETE {template}": Operation(operation_id, handler)}


ONE_TAG: Final[Shape] = {"meta": {"tag-name": STRING, "tag-id": STRING}}
ALL_TAGS: Final[Shape] = {"meta": {"tag-name": STRINGS, "tag-id": STRINGS}}


def tag_routes(family: str, template: str, *ids: str) -> Routes:
    """Return the operations that add a tag, remove a tag, and set all tags."""
    event = f"{family}.updated-tags" if family == "inquiry" else None

    def operation(operation_id: str, change: Change, shape: Shape) -> Operation:
        handler = update_handler(family, change, shape, event=event)
        return Operation(operation_id, handler)

    add, remove, replace = ids
    return {
        f"POST {template}/add-tag": operation(add, _add_tag, ONE_TAG),
        f"POST {template}/remove-tag": operation(remove, _remove_tag, ONE_TAG),
        f"POST {template}/set-tags": operation(replace, _set_tags, ALL_TAGS),
    }


def _add_tag(state: State, record: Record, body: Json) -> None:
    tags = record.attributes["tags"]
    (tag,) = stored_tags(state, record.family, [_requested_tag(body)])
    if tag not in tags:
        tags.append(tag)


def _remove_tag(state: State, record: Record, body: Json) -> None:
    tags = record.attributes["tags"]
    (tag,) = stored_tags(state, record.family, [_requested_tag(body)])
    if tag not in tags:
        raise ApiError(404, "meta.tag_name is not found")
    tags.remove(tag)


def _set_tags(state: State, record: Record, body: Json) -> None:
    meta = meta_of(body)
    if not meta:
        raise ApiError(400, "meta.tag_name is missing")
    names = [*meta.get("tag-name", ()), *meta.get("tag-id", ())]
    record.attributes["tags"] = stored_tags(state, record.family, names)


def _requested_tag(body: Json) -> str:
    """Return the tag; an id is used as a name, which only the dashboard knows."""
    meta = meta_of(body)
    name: str | None = meta.get("tag-name") or meta.get("tag-id")
    if not name:
        raise ApiError(400, "meta.tag_name is missing")
    return name
