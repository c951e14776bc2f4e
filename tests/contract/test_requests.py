"""The client sends only requests that the description allows, and can send all of them.

Exceptions are listed here, each with its reason.
"""

import itertools

import attrs
import orjson
import pytest

from persona_share._protocol.routes import routes
from tests.contract.calls import CALLS, make_call, methods
from tests.contract.description import (
    VERSIONS,
    needs_description,
    operation_of,
    operations,
    query_of,
    resolved,
    typed,
    violations,
)


pytestmark = needs_description

FORM = "application/x-www-form-urlencoded"
#: The one operation whose requests are built elsewhere, for the exchange of a code.
EXCHANGED = {"POST /oauth/token"}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CALLS)
async def test_request_is_valid_in_both_versions(name):
    requests, _ = await make_call(name)

    assert requests
    for request, version in itertools.product(requests, VERSIONS):
        path = request.target.partition("?")[0]
        operation = operation_of(request.method, path, version)
        assert operation is not None, request.operation
        assert query_violations(operation, request.target, version) == []
        assert body_violations(operation, request, version) == []


@pytest.mark.asyncio
async def test_webhook_without_a_name_is_valid_before_2026_09_29_only():
    (request,), _ = await make_call("webhooks.create")
    body = orjson.loads(request.body)
    del body["data"]["attributes"]["name"]
    nameless = attrs.evolve(request, body=orjson.dumps(body))

    before, since = (
        body_violations(operation_of("POST", "/webhooks", each), nameless, each)
        for each in VERSIONS
    )

    assert before == []
    assert len(since) == 1


def test_every_method_of_every_resource_is_called():
    called = {name.partition(" ")[0] for name in CALLS}

    assert methods() - called == set()


@pytest.mark.asyncio
async def test_every_route_is_described_and_used():
    documented = {each.key for each in operations()}
    sent = {
        request.operation for name in CALLS for request in (await make_call(name))[0]
    } | EXCHANGED
    ours = {route.operation for route in routes()}

    assert ours - documented == set()
    assert ours - sent == set()


@pytest.mark.asyncio
async def test_violations_of_the_description_are_found():
    (request,), _ = await make_call("share_tokens.create")
    operation = operation_of("POST", "/connect/share-tokens")
    body = orjson.loads(request.body)
    body["data"]["attributes"]["bridge-id"] = "cnob_1"
    invalid = attrs.evolve(request, body=orjson.dumps(body))

    assert body_violations(operation, request) == []
    assert len(body_violations(operation, invalid)) == 1
    assert query_violations(operation, "/connect/share-tokens?filter[a]=b") != []


def query_violations(operation, target, version=VERSIONS[-1]):
    """Return the violations of the description in a query."""
    found = []
    for name, value in query_of(target).items():
        declared = operation.queries.get(name)
        if declared is None:
            found.append(f"{name} is not declared")
            continue
        schema = declared["schema"]
        wrong = violations(typed(value, schema), schema, version)
        found += [f"{name} {each}" for each in wrong]
    given = query_of(target)
    found += [
        f"{name} is missing"
        for name, each in operation.queries.items()
        if each.get("required") and name not in given
    ]
    return found


def body_violations(operation, request, version=VERSIONS[-1]):
    """Return the violations of the description in a body."""
    if request.body is None:
        return []
    declared = operation.bodies.get(request.content_type)
    if declared is None:
        return [f"a body of {request.content_type} is not declared"]
    if request.content_type == FORM:
        form = query_of("/?" + request.body.decode())
        return violations(form, declared["schema"], version)
    return violations(orjson.loads(request.body), declared["schema"], version)


# ── Completeness ──────────────────────────────────────────────────────────────

JSON = "application/json"
#: Parameters that one function builds for all operations, and mappings whose keys are
#: the caller's.
SHARED = (
    "fields",
    "page",
    "query",
    "data.attributes.custom-http-headers",
    "data.attributes.fields",
    "data.attributes.included-allowlist",
    "data.attributes.payload-filter",
    "data.attributes.query",
    "data.attributes.relationship-allowlist",
    "data.attributes.rows",
)
#: The meta of a transaction is empty, and a share token has no includable objects.
LEFT_OUT = {
    "POST /transactions meta",
    "GET /connect/share-tokens/{share-token-id} include",
}


def names_in(value, path=""):
    """Return the path of every key of a document."""
    if isinstance(value, list):
        return {name for each in value for name in names_in(each, path)}
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, each in value.items():
        below = f"{path}.{name}" if path else name
        found |= {below} | names_in(each, below)
    return found


def names_of(schema, path=""):
    """Return the path of every key of a schema."""
    schema = resolved(schema)
    if path.startswith(SHARED):
        return set()
    found = set()
    for other in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(other, []):
            found |= names_of(each, path)
    for name, each in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        found |= {below} | names_of(each, below)
    return found | (names_of(schema["items"], path) if "items" in schema else set())


def declared(operation):
    """Return every parameter and attribute that an operation declares."""
    found = set()
    for name, each in operation.queries.items():
        found |= {name} | names_of(each["schema"], name)
    if JSON in operation.bodies:
        found |= names_of(operation.bodies[JSON]["schema"])
    return {name for name in found if not name.startswith(("fields", "page", "query."))}


async def used():
    """Return every parameter and attribute that the calls send, by operation."""
    found = {}
    for name in CALLS:
        for request in (await make_call(name))[0]:
            path = request.target.partition("?")[0]
            names = found.setdefault(operation_of(request.method, path).key, set())
            names |= names_in(query_of(request.target))
            if request.content_type == JSON:
                names |= names_in(orjson.loads(request.body))
    return found


@pytest.mark.asyncio
async def test_every_parameter_and_attribute_of_an_operation_can_be_sent():
    ours = {route.operation for route in routes()}
    sent = await used()

    missing = {
        f"{each.key} {name}"
        for each in operations()
        if each.key in ours
        for name in declared(each) - sent.get(each.key, set())
    }

    assert missing == LEFT_OUT
