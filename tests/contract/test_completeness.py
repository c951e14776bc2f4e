"""Everything that the description lets one say can be said by name.

What is left out is listed here, each with its reason.
"""

import orjson
import pytest

from persona_share._protocol.routes import routes
from tests.contract.calls import CALLS
from tests.contract.description import (
    needs_description,
    operation_of,
    operations,
    query_of,
    resolved,
)
from tests.contract.talking import talk


pytestmark = needs_description

JSON = "application/json"
#: Parts of an answer's shape, of a page and of a search, which go through one function
#: each for all operations, and mappings whose keys are the caller's.
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
#: The meta of a transaction is empty, and nothing can be included with a share token.
LEFT_OUT = {
    "POST /transactions meta",
    "GET /connect/share-tokens/{share-token-id} include",
}


def names_in(value, path=""):
    """Answer the path of every key of a document."""
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
    """Answer the path of every key that a schema names."""
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
    """Answer everything that an operation's query and JSON body may name."""
    found = set()
    for name, each in operation.queries.items():
        found |= {name} | names_of(each["schema"], name)
    if JSON in operation.bodies:
        found |= names_of(operation.bodies[JSON]["schema"])
    return {name for name in found if not name.startswith(("fields", "page", "query."))}


async def said():
    """Answer everything that the client's calls say, by operation."""
    found = {}
    for name in CALLS:
        for request in (await talk(name))[0]:
            path = request.target.partition("?")[0]
            words = found.setdefault(operation_of(request.method, path).key, set())
            words |= names_in(query_of(request.target))
            if request.content_type == JSON:
                words |= names_in(orjson.loads(request.body))
    return found


@pytest.mark.asyncio
async def test_every_parameter_and_attribute_of_an_operation_can_be_said():
    ours = {route.operation for route in routes()}
    words = await said()

    missing = {
        f"{each.key} {name}"
        for each in operations()
        if each.key in ours
        for name in declared(each) - words.get(each.key, set())
    }

    assert missing == LEFT_OUT
