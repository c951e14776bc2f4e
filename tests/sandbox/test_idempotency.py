"""The idempotency layer, as documented, and its open questions."""

import asyncio

import pytest


@pytest.fixture
def scope(sandbox):
    return f"inquiry.read:{sandbox.add_inquiry().id}"


@pytest.mark.asyncio
async def test_first_response_is_replayed_for_the_same_parameters(sandbox, raw, scope):
    code = await raw.code(scope)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (again.status, again.body) == (first.status, first.body)
    assert sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_replay_creates_no_new_api_log_entry(sandbox, raw, scope):
    code = await raw.code(scope)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert again.headers["Request-Id"] == first.headers["Request-Id"]
    assert [e.replayed for e in sandbox.log.find("POST /oauth/token")] == [False, True]


@pytest.mark.asyncio
async def test_error_is_replayed_as_a_success_is(sandbox, raw, scope):
    await raw.exchange("no-such-code", key="k")
    sandbox.switches.unknown_code_status = 422

    again = await raw.exchange("no-such-code", key="k")

    assert again.status == 404


@pytest.mark.asyncio
async def test_parameters_match_in_any_order_and_casing(sandbox, raw, scope):
    code = await raw.code(scope)
    key = {"Idempotency-Key": "k"}
    form = {"grant_type": "authorization_code", "code": code}

    first = await raw.exchange(code, key="k")
    again = await raw.send(
        "POST", "/oauth/token", sandbox.destination.api_key, data=form, headers=key
    )

    assert again.body == first.body


@pytest.mark.asyncio
async def test_other_parameters_are_refused_and_keep_the_first_response(raw, scope):
    code = await raw.code(scope)
    first = await raw.exchange(code, key="k")

    other = await raw.exchange("another-code", key="k")
    again = await raw.exchange(code, key="k")

    assert other.status == 400
    assert other.error["title"] == "Idempotency error"
    assert again.body == first.body


@pytest.mark.asyncio
async def test_status_of_a_mismatch_is_a_switch(sandbox, raw):
    sandbox.switches.mismatch_status = 422
    await raw.exchange("one", key="k")

    assert (await raw.exchange("two", key="k")).status == 422


@pytest.mark.asyncio
async def test_500_of_an_operation_is_stored(sandbox, raw, scope):
    code = await raw.code(scope)
    sandbox.faults.answer("POST /oauth/token", 500, stored=True)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")
    fresh = await raw.exchange(code, key="another")

    assert (first.status, again.status, fresh.status) == (500, 500, 201)


@pytest.mark.asyncio
async def test_500_may_not_be_stored(sandbox, raw, scope):
    sandbox.switches.keeps_server_errors = False
    code = await raw.code(scope)
    sandbox.faults.answer("POST /oauth/token", 500, stored=True)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (first.status, again.status) == (500, 201)


@pytest.mark.asyncio
async def test_429_and_401_are_not_stored(sandbox, raw, scope):
    code = await raw.code(scope)
    window = sandbox.destination.environment.window
    window.limit = 0
    limited = await raw.exchange(code, key="k")
    window.limit = 300
    refused = await raw.exchange(code, key="k", bearer="localbox_wrong")

    response = await raw.exchange(code, key="k")

    assert (limited.status, refused.status, response.status) == (429, 401, 201)
    assert [e.replayed for e in sandbox.log.find(status=201)] == [False, False]


@pytest.mark.asyncio
async def test_401_about_a_code_is_not_stored(sandbox, raw):
    sandbox.switches.unknown_code_status = 401
    await raw.exchange("x", key="k")
    sandbox.switches.unknown_code_status = 404

    assert (await raw.exchange("x", key="k")).status == 404


@pytest.mark.asyncio
async def test_response_is_stored_for_24_hours(sandbox, raw):
    first = await raw.exchange("x", key="k")
    sandbox.switches.unknown_code_status = 422

    sandbox.advance(24 * 3600 - 1)
    kept = await raw.exchange("x", key="k")
    sandbox.advance(1)
    pruned = await raw.exchange("x", key="k")

    assert (first.status, kept.status, pruned.status) == (404, 404, 422)


@pytest.mark.asyncio
async def test_retention_of_keys_is_a_switch(sandbox, raw):
    sandbox.switches.key_retention = 3600
    await raw.exchange("x", key="k")
    sandbox.switches.unknown_code_status = 422

    sandbox.advance(3600)

    assert (await raw.exchange("x", key="k")).status == 422


@pytest.mark.asyncio
async def test_get_ignores_the_key(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    key = {"Idempotency-Key": "k"}

    first = await raw.get(f"/inquiries/{inquiry}", headers=key)
    again = await raw.get(f"/inquiries/{inquiry}", headers=key)

    assert first.headers["Request-Id"] != again.headers["Request-Id"]


@pytest.mark.asyncio
async def test_token_operation_may_not_replay(sandbox, raw, scope):
    sandbox.switches.oauth_replays = False
    code = await raw.code(scope)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (first.status, again.status) == (201, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mode", "statuses"),
    [("wait", [201, 201]), ("conflict", [201, 409]), ("run", [201, 400])],
)
async def test_duplicate_of_a_running_request_waits_conflicts_or_runs(
    sandbox, raw, scope, mode, statuses
):
    sandbox.switches.inflight_duplicate = mode
    code = await raw.code(scope)
    sandbox.faults.delay("POST /oauth/token", 0.4)

    slow = asyncio.create_task(raw.exchange(code, key="k"))
    while sandbox.faults.pending:
        await asyncio.wait([slow], timeout=0.01)  # the first request is to be there
    quick = await raw.exchange(code, key="k")
    responses = [await slow, quick]

    expected = {"run": [400, 201]}.get(mode, statuses)
    assert [response.status for response in responses] == expected
    assert sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_key_is_unique_within_an_api_key_an_environment_or_globally(sandbox, raw):
    second = sandbox.add_api_key(sandbox.destination)

    async def outcomes(key):
        """Send one mismatch with a second key, one with another organization's."""
        await raw.exchange("one", key=key)
        same = await raw.exchange("two", key=key, bearer=second)
        other = await raw.exchange("two", key=key, bearer=sandbox.source.api_key)
        return same.status, other.status

    seen = {}
    for namespace in ("api_key", "environment", "global"):
        sandbox.switches.key_namespace = namespace
        seen[namespace] = await outcomes(namespace)

    assert seen == {
        "api_key": (404, 404),
        "environment": (400, 404),
        "global": (400, 400),
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(("count", "status"), [(False, 404), (True, 400)])
async def test_headers_may_count_as_parameters(sandbox, raw, count, status):
    sandbox.switches.headers_are_parameters = count
    await raw.exchange("x", key="k")

    again = await raw.exchange("x", key="k", headers={"Key-Inflection": "camel"})

    assert again.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize(("updates", "left"), [(False, 3599), (True, 3499)])
async def test_replay_may_update_expires_in(sandbox, raw, scope, updates, left):
    sandbox.switches.replay_updates_expires_in = updates
    code = await raw.code(scope)
    await raw.exchange(code, key="k")

    sandbox.advance(100)

    assert (await raw.exchange(code, key="k")).json["expires-in"] == left


@pytest.mark.asyncio
async def test_replay_may_keep_its_date_and_have_a_marker(sandbox, raw, scope):
    code = await raw.code(scope)
    first = await raw.exchange(code, key="k")
    sandbox.advance(100)
    plain = await raw.exchange(code, key="k")
    sandbox.switches.replay_date = "first"
    sandbox.switches.replay_marker = "Idempotent-Replayed"

    marked = await raw.exchange(code, key="k")

    assert first.headers["Date"] == "Thu, 01 Jan 2026 12:00:00 GMT"
    assert plain.headers["Date"] == "Thu, 01 Jan 2026 12:01:40 GMT"
    assert marked.headers["Date"] == first.headers["Date"]
    assert "Idempotent-Replayed" not in plain.headers
    assert marked.headers["Idempotent-Replayed"] == "true"


@pytest.mark.asyncio
async def test_replay_may_have_a_new_request_id(sandbox, raw):
    sandbox.switches.replay_request_id = "new"

    first = await raw.exchange("x", key="k")
    again = await raw.exchange("x", key="k")

    assert first.headers["Request-Id"] != again.headers["Request-Id"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("counts", "remaining"), [(True, "298"), (False, "299")])
async def test_replay_may_not_count_against_the_limit(sandbox, raw, counts, remaining):
    sandbox.switches.replay_counts_against_limit = counts
    await raw.exchange("x", key="k")

    again = await raw.exchange("x", key="k")

    assert again.headers["RateLimit-Remaining"] == remaining


@pytest.mark.asyncio
@pytest.mark.parametrize(("replays", "same"), [(True, True), (False, False)])
async def test_patch_may_replay(sandbox, raw, replays, same):
    sandbox.switches.patch_replays = replays
    key = {"Idempotency-Key": "k"}

    first = await raw.send("PATCH", "/x", sandbox.source.api_key, headers=key)
    again = await raw.send("PATCH", "/x", sandbox.source.api_key, headers=key)

    assert (first.headers["Request-Id"] == again.headers["Request-Id"]) is same
