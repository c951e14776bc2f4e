"""The limits of an API key."""

from typing import Final

from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.query import check_query
from persona_share.sandbox.jsonapi.rendering import json_response
from persona_share.sandbox.responses import Response
from persona_share.sandbox.state.rate_limits import WINDOW
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


def list_rate_limits(state: State, request: Request) -> Response:
    """Return what is left of the caller's rate limits."""
    check_query(state, request, ())
    caller, now = request.caller, state.runtime.now()
    windows = [caller.rate_limited.window]
    if caller.key is not None and caller.key.window.limit is not None:
        windows.append(caller.key.window)
    data = [
        {
            "type": "rate-limit/api",
            "attributes": {
                "limit": window.announced,
                "remaining": window.remaining,
                "seconds-to-reset": int(min(WINDOW, window.resets_in(now))),
            },
        }
        for window in windows
    ]
    return json_response({"data": data}, request)


ROUTES: Final[Routes] = {
    "GET /rate-limits": Operation("list-all-rate-limits", list_rate_limits),
}
