"""One operation of the API: what it is called, and what answers it."""

from typing import Final

import attrs

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.reading import Handler
from persona_share.sandbox.redacting import redacter
from persona_share.sandbox.state import State
from persona_share.sandbox.tagging import tag_adder, tag_remover, tag_setter


@attrs.frozen
class Operation:
    """One operation; without an id it is none that Persona documents."""

    id: str | None
    handler: Handler

    def __call__(self, state: State, call: Call) -> Reply:
        """Answer a call."""
        return self.handler(state, call)


Table = dict[str, Operation]

_TAGGERS: Final = {
    "add-tag": tag_adder,
    "remove-tag": tag_remover,
    "set-tags": tag_setter,
}


def tags(family: str, template: str, ids: dict[str, str]) -> Table:
    """Answer the three operations on the tags of a family."""
    event = f"{family}.updated-tags" if family == "inquiry" else None
    return {
        f"POST {template}/{segment}": Operation(ids[segment], make(family, event))
        for segment, make in _TAGGERS.items()
    }


def redaction(family: str, template: str, operation_id: str) -> Table:
    """Answer the operation that redacts an object of a family."""
    handler = redacter(family, f"{family}.redacted")
    return {f"DELETE {template}": Operation(operation_id, handler)}
