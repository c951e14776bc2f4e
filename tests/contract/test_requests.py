"""Every request that the client can send is one that Persona's description allows."""

import attrs
import orjson
import pytest

from persona_share._protocol.routes import routes
from tests.contract.calls import CALLS, methods
from tests.contract.description import (
    complaints,
    needs_description,
    operation_of,
    operations,
    query_of,
    typed,
)
from tests.contract.talking import talk


pytestmark = needs_description

FORM = "application/x-www-form-urlencoded"
#: The one endpoint whose body this client makes elsewhere.
EXCHANGED = {"POST /oauth/token"}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CALLS)
async def test_a_request_is_one_of_the_description(name):
    requests, _ = await talk(name)

    assert requests
    for request in requests:
        operation = operation_of(request.method, request.target.partition("?")[0])
        assert operation is not None, request.operation
        assert wrong_in_query(operation, request.target) == []
        assert wrong_in_body(operation, request) == []


def test_every_method_of_every_resource_is_called():
    called = {name.partition(" ")[0] for name in CALLS}

    assert methods() - called == set()


@pytest.mark.asyncio
async def test_every_route_is_one_of_the_description_and_is_used():
    documented = {each.key for each in operations()}
    sent = {
        request.operation for name in CALLS for request in (await talk(name))[0]
    } | EXCHANGED
    ours = {route.operation for route in routes()}

    assert ours - documented == set()
    assert ours - sent == set()


@pytest.mark.asyncio
async def test_what_the_description_does_not_allow_is_noticed():
    (request,), _ = await talk("share_tokens.create")
    operation = operation_of("POST", "/connect/share-tokens")
    body = orjson.loads(request.body)
    body["data"]["attributes"]["bridge-id"] = "cnob_1"
    wrong = attrs.evolve(request, body=orjson.dumps(body))

    assert wrong_in_body(operation, request) == []
    assert len(wrong_in_body(operation, wrong)) == 1
    assert wrong_in_query(operation, "/connect/share-tokens?filter[a]=b") != []


def wrong_in_query(operation, target):
    """Answer what the description has against a query."""
    wrong = []
    for name, value in query_of(target).items():
        declared = operation.queries.get(name)
        if declared is None:
            wrong.append(f"{name} is not declared")
            continue
        schema = declared["schema"]
        wrong += [f"{name} {each}" for each in complaints(typed(value, schema), schema)]
    given = query_of(target)
    wrong += [
        f"{name} is missing"
        for name, each in operation.queries.items()
        if each.get("required") and name not in given
    ]
    return wrong


def wrong_in_body(operation, request):
    """Answer what the description has against a body."""
    if request.body is None:
        return []
    declared = operation.bodies.get(request.content_type)
    if declared is None:
        return [f"a body of {request.content_type} is not declared"]
    if request.content_type == FORM:
        form = query_of("/?" + request.body.decode())
        return complaints(form, declared["schema"])
    return complaints(orjson.loads(request.body), declared["schema"])
