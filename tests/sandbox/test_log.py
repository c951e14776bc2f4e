"""The log says what was seen, without a secret in it."""

import logging

import pytest


@pytest.mark.asyncio
async def test_each_request_is_one_entry(box, raw):
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")
    box.advance(5)
    answer = await raw.get(f"/inquiries/{inquiry}", token)

    entry = box.log[-1]

    assert len(box.log) == 3
    assert entry.operation == "GET /inquiries/{inquiry-id}"
    assert (entry.status, entry.object_id) == (200, inquiry)
    assert (entry.organization, entry.credential) == (
        box.destination.id,
        "access_token",
    )
    assert entry.token == box.log.digest(token)
    assert entry.request_id == answer.headers["Request-Id"]
    assert entry.at == box.now()


@pytest.mark.asyncio
async def test_the_log_counts(box, raw):
    inquiry = box.add_inquiry().id
    code = await raw.code(f"inquiry.read:{inquiry}")
    await raw.exchange(code, key="k")
    await raw.exchange(code, key="k")
    await raw.exchange("x", key="other")

    assert box.log.codes_issued == box.log.codes_redeemed == box.log.tokens_issued == 1
    assert box.log.count("POST /oauth/token", status=201) == 2
    assert box.log.count("POST /oauth/token", status=201, replayed=False) == 1
    assert box.log.count(status=404) == 1
    assert box.log.count(object_id=inquiry) == 0
    keys = [entry.idempotency_key for entry in box.log.find("POST /oauth/token")]
    assert keys == [box.log.digest(key) for key in ("k", "k", "other")]
    box.log.clear()
    assert (box.log.count(), box.log.tokens_issued) == (0, 0)


@pytest.mark.asyncio
async def test_no_secret_is_in_the_log_nor_in_pythons(box, raw, caplog):
    caplog.set_level(logging.DEBUG)
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    token = (await raw.exchange(code, key="key-canary")).json["access-token"]
    await raw.get("/inquiries?filter[note]=query-canary", token)
    await raw.get("/inquiries/canary", "localbox_bearer_canary")
    await raw.send("GET", "/canary%00", "canary")

    seen = repr(list(box.log)) + repr(box.source) + repr(vars(box)) + caplog.text

    for secret in (code, token, box.source.api_key, box.destination.api_key, "canary"):
        assert secret not in seen.replace("object_id='canary'", "")
