"""Sends one good request for each operation, and answers what came back."""

import re
from contextlib import asynccontextmanager

import aiohttp
import attrs

from tests.contract.stage import Good, attributes, filled, good_requests, meta
from tests.sandbox.raw import Raw


@attrs.frozen
class Played:
    """One operation as it went."""

    key: str
    answer: object


@asynccontextmanager
async def staged():
    """Run a filled sandbox with a raw client of it."""
    async with filled() as sandbox, aiohttp.ClientSession() as session:
        yield sandbox, Raw(session, sandbox)
    assert sandbox.log.crashes == []


async def play(raw, key, good):
    """Send the request of one operation."""
    method, _, template = key.partition(" ")
    path = re.sub(r"\{[^}]+\}", lambda _: good.object_id, template) + good.query
    bearer = getattr(raw.sandbox, good.by).api_key
    options = {} if good.json is None else {"json": good.json}
    if good.form is not None:
        options = {"data": good.form}
    return Played(key, await raw.send(method, path, bearer, **options))


async def play_all(sandbox, raw):
    """Send a good request for each operation that the sandbox serves."""
    played = [await play(raw, *each) for each in good_requests(sandbox).items()]
    played += [each async for each in play_oauth(sandbox, raw)]
    played += [each async for each in play_later(raw, played)]
    return played + [each async for each in play_connect(sandbox, raw)]


async def play_later(raw, played):
    """Retrieve what an earlier request created."""
    ids = {each.key: each.answer for each in played}
    job = ids["POST /batch-jobs"].json["data"]["id"]
    run = ids["POST /workflows/{workflow-id}/trigger"].json["data"]["id"]
    log = ids["GET /api-keys"].headers["Request-Id"]
    yield await play(raw, "GET /batch-jobs/{batch-job-id}", Good(job))
    yield await play(raw, "GET /batch-jobs/{batch-job-id}/errors", Good(job))
    yield await play(raw, "GET /workflow-runs/{workflow-run-id}", Good(run))
    yield await play(raw, "GET /api-logs/{api-log-id}", Good(log))


async def play_oauth(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    scope = f"inquiry.read:{inquiry}"
    form = {
        "client-id": sandbox.destination.id,
        "response-type": "code",
        "scope": scope,
    }
    issued = await play(raw, "POST /oauth/authorize", Good(form=form))
    yield issued
    form = {"code": issued.answer.json["code"], "grant-type": "authorization_code"}
    yield await play(raw, "POST /oauth/token", Good(form=form, by="destination"))


async def play_connect(sandbox, raw):
    one, token = "/connect/connections/{connection-id}", "/connect/share-tokens"
    wanted = attributes(destination_organization_id=sandbox.destination.id)
    made = await play(raw, "POST /connect/connections", Good(json=wanted))
    yield made
    connection = made.answer.json["data"]["id"]
    yield await play(raw, "GET /connect/connections", Good())
    yield await play(raw, f"GET {one}", Good(connection))
    sources = [
        sandbox.add_inquiry().id,
        sandbox.add_account().id,
        sandbox.add_transaction().id,
        sandbox.add_verification(kind="email-address").id,
    ]
    given = None
    for source in sources:
        body = attributes(connection_id=connection, source_id=source)
        given = await play(raw, f"POST {token}", Good(json=body))
        yield given
        object_id = given.answer.json["data"]["id"]
        peek = Good(object_id, query="?peek-source-data=true", by="destination")
        yield await play(raw, f"GET {token}/{{share-token-id}}", peek)
        yield await play(raw, f"GET {token}/{{share-token-id}}", Good(object_id))
    object_id = given.answer.json["data"]["id"]
    redeem = f"POST {token}/{{share-token-id}}/redeem"
    yield await play(raw, redeem, Good(object_id, by="destination"))
    yield await play(raw, f"GET {token}/{{share-token-id}}", Good(object_id))
    yield await play(raw, f"GET {token}", Good(by="destination"))
    body = attributes(connection_id=connection, source_id=sources[0])
    spare = await play(raw, f"POST {token}", Good(json=body))
    object_id = spare.answer.json["data"]["id"]
    yield await play(raw, f"POST {token}/{{share-token-id}}/expire", Good(object_id))
    yield await play(raw, f"POST {one}/deactivate", Good(connection))
    yield await play(raw, f"POST {one}/reactivate", Good(connection))


__all__ = ["Played", "meta", "play", "play_all", "staged"]
