"""What the sandbox answers is what Persona's description describes."""

import pytest

from persona_share.sandbox.routes import served_operations
from tests.contract.description import needs_description, operations
from tests.contract.openness import open_complaints
from tests.contract.play import play_all, staged


pytestmark = needs_description


def test_what_it_serves_is_described_under_the_same_name():
    described = {each.key: each.raw["operationId"] for each in operations()}

    for served in served_operations():
        assert described[f"{served.method} {served.path}"] == served.operation_id


@pytest.mark.asyncio
async def test_each_operation_answers_as_described():
    described = {each.key: each for each in operations()}

    async with staged() as (box, raw):
        played = await play_all(box, raw)

    assert {each.key for each in played} == {
        f"{each.method} {each.path}" for each in served_operations()
    }
    for each in played:
        status, kind = each.answer.status, each.answer.headers["Content-Type"]
        assert 200 <= status < 300, (each.key, each.answer.body[:300])
        value = each.answer.json if kind == "application/json" else None
        assert open_complaints(described[each.key], status, kind, value) == [], each.key
