"""Resources with a scripted sender and a fake clock."""

import traceback

import attrs
import orjson
import pytest

from persona_share._protocol.http import Response
from persona_share.resources.api import ResourceAccessors
from persona_share.resources.base import Caller
from persona_share.testing.clock import FakeClock, fake_runtime
from persona_share.testing.http import ScriptedSender
from tests.scenarios.conftest import scenario


__all__ = ["scenario"]


JSON = {"content-type": "application/json"}


def locals_of(error):
    """Return the locals of all frames of this library, as an error report shows them."""
    shown, pending = [], [error]
    while pending:
        each = pending.pop()
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if "/persona_share/" in frame.f_code.co_filename:
                shown += [_shown(each) for each in frame.f_locals.values()]
        pending += filter(None, (each.__cause__, each.__context__))
    assert shown
    return "".join(shown)


def _shown(value):
    try:
        return repr(value)
    except AttributeError:  # an object whose constructor failed
        return ""


def make_response(value=None, status=200, **headers):
    """Return a response with this document."""
    body = b"" if value is None else orjson.dumps(value)
    return Response(status=status, headers=JSON | headers, body=body)


def problem(status, title="Conflict"):
    """Return a response with an error of this title."""
    return make_response({"errors": [{"title": title}]}, status)


def item(kind, object_id, **attributes):
    """Return an object, with its attributes in kebab-case."""
    spelled = {name.replace("_", "-"): value for name, value in attributes.items()}
    return {"type": kind, "id": object_id, "attributes": spelled}


def one(kind, object_id, **attributes):
    """Return a response with one object."""
    return make_response({"data": item(kind, object_id, **attributes)})


def share_token(status, destination=None, **attributes):
    """Return a response with a share token, and with its destination if given."""
    data = item("connect/share-token", "cnst_1", status=status, **attributes)
    if destination is not None:
        reference = {"type": "inquiry", "id": destination}
        data["relationships"] = {"destination": {"data": reference}}
    return make_response({"data": data})


@attrs.define
class Harness:
    """The resources of a client, their requests and their clock."""

    client: ResourceAccessors
    sender: ScriptedSender
    clock: FakeClock

    @property
    def requests(self):
        return self.sender.requests

    @property
    def bodies(self):
        return [each.body and orjson.loads(each.body) for each in self.requests]


@pytest.fixture
def harness():
    def made(*responses, **options):
        clock = FakeClock()
        sender = ScriptedSender(responses)
        caller = Caller(
            sender=sender,
            runtime=fake_runtime(clock),
            headers={},
            timeout=100.0,
            require_open=lambda: None,
            **options,
        )
        return Harness(ResourceAccessors(caller), sender, clock)

    return made
