"""Objects as PDF."""

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.pictures import pdf
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import check_query
from persona_share.sandbox.reading import Handler, named
from persona_share.sandbox.state import State


def printer(family: str) -> Handler:
    """Answer the handler that prints an object of a family."""

    def printed(state: State, call: Call) -> Reply:
        check_query(state, call, ())
        record = named(state, call, family)
        if call.caller.token is not None and not state.switches.scoped_print:
            raise Problem(403, "an access token may not print")
        lines = [
            "persona_share sandbox",
            f"{record.type} {record.id}",
            f"status: {record.attributes.get('status')}",
        ]
        return Reply(200, pdf(lines), content_type="application/pdf")

    return printed
