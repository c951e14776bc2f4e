"""The other examples do what their first line says."""

import json

import aiohttp
import pytest


@pytest.mark.asyncio
async def test_a_batch_prints_a_line_for_each_inquiry(programs):
    ids = [programs.box.add_inquiry().id for _ in range(20)]
    code, out, told = await programs.run("fetch_many.py", stdin="\n".join(ids))
    assert code == 0, told
    assert {json.loads(line)["id"] for line in out.splitlines()} == set(ids)
    assert programs.box.log.tokens_minted == 1


@pytest.mark.asyncio
async def test_a_foreign_client_prints_an_inquiry(programs):
    inquiry = programs.box.add_inquiry()
    code, out, told = await programs.run("embedding.py", inquiry.id)
    assert code == 0, told
    assert json.loads(out)["data"]["id"] == inquiry.id


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("password", "scope", "status"),
    [
        ("a password of both sides", "inquiry.read:{}", 200),
        ("a password of both sides", "inquiry.write:{}", 403),
        ("a password of both sides", "nonsense", 400),
        ("another", "inquiry.read:{}", 401),
    ],
)
async def test_the_partner_decides_who_gets_what(programs, password, scope, status):
    asked = {"scope": scope.format(programs.box.add_inquiry().id)}
    headers = {"Authorization": f"Bearer {password}"}
    url = f"{programs.partner_url}/codes"
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(url, json=asked) as answer,
    ):
        assert answer.status == status
