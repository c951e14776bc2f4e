"""The responses of the sandbox are those of the description, in both versions.

Fuzzing sends a few requests for each operation here, and many in ``make contract``.
"""

import importlib
import re
from urllib.parse import parse_qsl, urlencode

import pytest
from yarl import URL

from persona_share.sandbox.http.server import served_operations
from tests.contract.calls import CALLS, make_call
from tests.contract.description import (
    VERSIONS,
    needs_description,
    operation_of,
    operations,
    response_violations,
)
from tests.contract.requests import filled_sandbox, send_all, valid_requests
from tests.sandbox.raw import Response


pytestmark = needs_description


#: The newest version in each run, the others in the slow ones.
NEWEST_FIRST = [
    pytest.param(version, marks=[pytest.mark.slow] if version != VERSIONS[-1] else [])
    for version in VERSIONS
]


def test_served_operations_have_the_ids_of_the_description():
    described = {each.key: each.raw["operationId"] for each in operations()}

    for served in served_operations():
        assert described[f"{served.method} {served.path}"] == served.operation_id


@pytest.mark.asyncio
@pytest.mark.parametrize("version", NEWEST_FIRST)
async def test_each_response_is_as_described(version):
    described = {each.key: each for each in operations(version)}

    async with filled_sandbox(version) as (sandbox, raw):
        sent = await send_all(sandbox, raw)

    assert {each.key for each in sent} == {
        f"{each.method} {each.path}" for each in served_operations()
    }
    for each in sent:
        status, kind = each.response.status, each.response.headers["Content-Type"]
        assert 200 <= status < 300, (each.key, each.response.body[:300])
        value = each.response.json if kind == "application/json" else None
        assert response_violations(described[each.key], status, kind, value) == [], (
            each.key
        )


@pytest.mark.asyncio
@pytest.mark.parametrize("version", NEWEST_FIRST)
async def test_every_request_of_the_client_is_accepted(version):
    async with filled_sandbox(version) as (sandbox, raw):
        ids = {key: each.object_id for key, each in valid_requests(sandbox).items()}
        refused = [
            (name, response.body)
            for name in CALLS
            for request in (await make_call(name))[0]
            if (response := await send_to(raw, request, ids)).status == 400
        ]

    assert refused == []


async def send_to(raw, request, ids):
    """Send a request of the client to the sandbox, about one of its objects."""
    path, _, query = request.target.partition("?")
    operation = operation_of(request.method, path)
    if object_id := ids.get(operation.key):
        path = re.sub(r"\{[^}]+\}", object_id, operation.path)
    # Cursors and relationships would have to name known objects.
    ignored = {"page[after]", "include"}
    pairs = [pair for pair in parse_qsl(query, True) if pair[0] not in ignored]
    url = URL(f"{raw.sandbox.url}{path}?{urlencode(pairs)}", encoded=True)
    kind = {"Content-Type": request.content_type} if request.content_type else {}
    headers = {"Authorization": f"Bearer {raw.sandbox.source.api_key}", **kind}
    async with raw.session.request(
        request.method, url, headers=headers, data=request.body
    ) as response:
        return Response(response.status, response.headers, await response.read())


# ── Fuzzing ───────────────────────────────────────────────────────────────────

EXAMPLES = 1
#: Every tenth operation in each run, and the others in the slow ones.
KEYS = [
    pytest.param(
        f"{each.method} {each.path}", marks=[pytest.mark.slow] if number % 10 else []
    )
    for number, each in enumerate(served_operations())
]


@pytest.fixture(scope="module")
def fuzzing():
    """Return the module that fuzzes; schemathesis loads slowly."""
    return importlib.import_module("tests.contract.fuzzing")


@pytest.fixture(scope="module")
def facts(fuzzing):
    with fuzzing.running_sandbox() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_responses_to_random_requests_are_as_described(fuzzing, facts, key):
    for version in VERSIONS:
        operation = fuzzing.described_operation(version, key)
        fuzzing.fuzz(operation, facts, EXAMPLES, version)
