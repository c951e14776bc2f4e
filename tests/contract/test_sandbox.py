"""What the sandbox answers is what Persona's description describes."""

import re
from urllib.parse import parse_qsl, urlencode

import pytest
from yarl import URL

from persona_share.sandbox.http.server import served_operations
from tests.contract.calls import CALLS
from tests.contract.description import needs_description, operation_of, operations
from tests.contract.openness import open_complaints
from tests.contract.play import play_all, staged
from tests.contract.stage import good_requests
from tests.contract.talking import talk
from tests.sandbox.raw import Response


pytestmark = needs_description


def test_what_it_serves_is_described_under_the_same_name():
    described = {each.key: each.raw["operationId"] for each in operations()}

    for served in served_operations():
        assert described[f"{served.method} {served.path}"] == served.operation_id


@pytest.mark.asyncio
async def test_each_operation_answers_as_described():
    described = {each.key: each for each in operations()}

    async with staged() as (sandbox, raw):
        played = await play_all(sandbox, raw)

    assert {each.key for each in played} == {
        f"{each.method} {each.path}" for each in served_operations()
    }
    for each in played:
        status, kind = each.answer.status, each.answer.headers["Content-Type"]
        assert 200 <= status < 300, (each.key, each.answer.body[:300])
        value = each.answer.json if kind == "application/json" else None
        assert open_complaints(described[each.key], status, kind, value) == [], each.key


@pytest.mark.asyncio
async def test_it_takes_every_request_that_the_client_can_send():
    async with staged() as (sandbox, raw):
        ids = {key: good.object_id for key, good in good_requests(sandbox).items()}
        refused = [
            (name, answer.body)
            for name in CALLS
            for request in (await talk(name))[0]
            if (answer := await taken(raw, request, ids)).status == 400
        ]

    assert refused == []


async def taken(raw, request, ids):
    """Send a request of the client to the sandbox, about an object that it has."""
    path, _, query = request.target.partition("?")
    operation = operation_of(request.method, path)
    if object_id := ids.get(operation.key):
        path = re.sub(r"\{[^}]+\}", object_id, operation.path)
    # A cursor and a relationship would have to name what there is.
    there = {"page[after]", "include"}
    pairs = [pair for pair in parse_qsl(query, True) if pair[0] not in there]
    url = URL(f"{raw.sandbox.url}{path}?{urlencode(pairs)}", encoded=True)
    kind = {"Content-Type": request.content_type} if request.content_type else {}
    headers = {"Authorization": f"Bearer {raw.sandbox.source.api_key}", **kind}
    async with raw.session.request(
        request.method, url, headers=headers, data=request.body
    ) as answer:
        return Response(answer.status, answer.headers, await answer.read())
