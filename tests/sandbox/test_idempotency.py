"""The idempotency layer, as documented, and its open questions."""

import asyncio

import pytest


@pytest.fixture
def scope(box):
    return f"inquiry.read:{box.add_inquiry().id}"


@pytest.mark.asyncio
async def test_the_first_outcome_is_replayed_for_the_same_parameters(box, raw, scope):
    code = await raw.code(scope)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (again.status, again.body) == (first.status, first.body)
    assert box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_a_replay_makes_no_new_api_log_entry(box, raw, scope):
    code = await raw.code(scope)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert again.headers["Request-Id"] == first.headers["Request-Id"]
    assert [e.replayed for e in box.log.find("POST /oauth/token")] == [False, True]


@pytest.mark.asyncio
async def test_a_refusal_is_replayed_like_a_success(box, raw, scope):
    await raw.exchange("no-such-code", key="k")
    box.switches.unknown_code_status = 422

    again = await raw.exchange("no-such-code", key="k")

    assert again.status == 404


@pytest.mark.asyncio
async def test_parameters_are_the_same_in_any_order_and_casing(box, raw, scope):
    code = await raw.code(scope)
    key = {"Idempotency-Key": "k"}
    form = {"grant_type": "authorization_code", "code": code}

    first = await raw.exchange(code, key="k")
    again = await raw.send(
        "POST", "/oauth/token", box.destination.api_key, data=form, headers=key
    )

    assert again.body == first.body


@pytest.mark.asyncio
async def test_other_parameters_are_an_error_that_leaves_the_first_alone(raw, scope):
    code = await raw.code(scope)
    first = await raw.exchange(code, key="k")

    other = await raw.exchange("another-code", key="k")
    again = await raw.exchange(code, key="k")

    assert other.status == 400
    assert other.error["title"] == "Idempotency error"
    assert again.body == first.body


@pytest.mark.asyncio
async def test_the_status_of_a_mismatch_is_a_switch(box, raw):
    box.switches.mismatch_status = 422
    await raw.exchange("one", key="k")

    assert (await raw.exchange("two", key="k")).status == 422


@pytest.mark.asyncio
async def test_a_500_that_reached_the_layer_is_kept(box, raw, scope):
    code = await raw.code(scope)
    box.faults.answer("POST /oauth/token", 500, stored=True)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")
    fresh = await raw.exchange(code, key="another")

    assert (first.status, again.status, fresh.status) == (500, 500, 201)


@pytest.mark.asyncio
async def test_p14_a_500_may_not_be_kept(box, raw, scope):
    box.switches.keeps_server_errors = False
    code = await raw.code(scope)
    box.faults.answer("POST /oauth/token", 500, stored=True)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (first.status, again.status) == (500, 201)


@pytest.mark.asyncio
async def test_429_and_401_come_before_the_layer(box, raw, scope):
    code = await raw.code(scope)
    window = box.destination.environment.window
    window.limit = 0
    limited = await raw.exchange(code, key="k")
    window.limit = 300
    refused = await raw.exchange(code, key="k", bearer="localbox_wrong")

    answer = await raw.exchange(code, key="k")

    assert (limited.status, refused.status, answer.status) == (429, 401, 201)
    assert [e.replayed for e in box.log.find(status=201)] == [False, False]


@pytest.mark.asyncio
async def test_a_401_about_a_code_is_not_kept_either(box, raw):
    box.switches.unknown_code_status = 401
    await raw.exchange("x", key="k")
    box.switches.unknown_code_status = 404

    assert (await raw.exchange("x", key="k")).status == 404


@pytest.mark.asyncio
async def test_p13_an_outcome_is_kept_for_24_hours(box, raw):
    first = await raw.exchange("x", key="k")
    box.switches.unknown_code_status = 422

    box.advance(24 * 3600 - 1)
    kept = await raw.exchange("x", key="k")
    box.advance(1)
    pruned = await raw.exchange("x", key="k")

    assert (first.status, kept.status, pruned.status) == (404, 404, 422)


@pytest.mark.asyncio
async def test_p13_the_retention_may_be_one_hour(box, raw):
    box.switches.key_retention = 3600
    await raw.exchange("x", key="k")
    box.switches.unknown_code_status = 422

    box.advance(3600)

    assert (await raw.exchange("x", key="k")).status == 422


@pytest.mark.asyncio
async def test_a_get_ignores_the_key(box, raw):
    inquiry = box.add_inquiry().id
    key = {"Idempotency-Key": "k"}

    first = await raw.get(f"/inquiries/{inquiry}", headers=key)
    again = await raw.get(f"/inquiries/{inquiry}", headers=key)

    assert first.headers["Request-Id"] != again.headers["Request-Id"]


@pytest.mark.asyncio
async def test_p1_the_token_operation_may_not_replay(box, raw, scope):
    box.switches.oauth_replays = False
    code = await raw.code(scope)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (first.status, again.status) == (201, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mode", "statuses"),
    [("wait", [201, 201]), ("conflict", [201, 409]), ("run", [201, 400])],
)
async def test_p2_a_duplicate_in_flight_waits_or_not(box, raw, scope, mode, statuses):
    box.switches.inflight_duplicate = mode
    code = await raw.code(scope)
    box.faults.delay("POST /oauth/token", 0.15)

    slow = asyncio.create_task(raw.exchange(code, key="k"))
    await asyncio.wait([slow], timeout=0.05)
    quick = await raw.exchange(code, key="k")
    answers = [await slow, quick]

    expected = {"run": [400, 201]}.get(mode, statuses)
    assert [answer.status for answer in answers] == expected
    assert box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_p5_a_key_belongs_to_an_api_key_an_environment_or_everybody(box, raw):
    second = box.add_api_key(box.destination)

    async def outcomes(key):
        """Send one mismatch with a second key, one with another organization's."""
        await raw.exchange("one", key=key)
        same = await raw.exchange("two", key=key, bearer=second)
        other = await raw.exchange("two", key=key, bearer=box.source.api_key)
        return same.status, other.status

    seen = {}
    for namespace in ("api_key", "environment", "global"):
        box.switches.key_namespace = namespace
        seen[namespace] = await outcomes(namespace)

    assert seen == {
        "api_key": (404, 404),
        "environment": (400, 404),
        "global": (400, 400),
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(("count", "status"), [(False, 404), (True, 400)])
async def test_p6_headers_may_count_as_parameters(box, raw, count, status):
    box.switches.headers_are_parameters = count
    await raw.exchange("x", key="k")

    again = await raw.exchange("x", key="k", headers={"Key-Inflection": "camel"})

    assert again.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize(("updates", "left"), [(False, 3599), (True, 3499)])
async def test_p7_a_replay_may_tell_what_is_left(box, raw, scope, updates, left):
    box.switches.replay_updates_expires_in = updates
    code = await raw.code(scope)
    await raw.exchange(code, key="k")

    box.advance(100)

    assert (await raw.exchange(code, key="k")).json["expires-in"] == left


@pytest.mark.asyncio
async def test_p7_a_replay_may_keep_its_date_and_carry_a_marker(box, raw, scope):
    code = await raw.code(scope)
    first = await raw.exchange(code, key="k")
    box.advance(100)
    plain = await raw.exchange(code, key="k")
    box.switches.replay_date = "first"
    box.switches.replay_marker = "Idempotent-Replayed"

    marked = await raw.exchange(code, key="k")

    assert first.headers["Date"] == "Thu, 01 Jan 2026 12:00:00 GMT"
    assert plain.headers["Date"] == "Thu, 01 Jan 2026 12:01:40 GMT"
    assert marked.headers["Date"] == first.headers["Date"]
    assert "Idempotent-Replayed" not in plain.headers
    assert marked.headers["Idempotent-Replayed"] == "true"


@pytest.mark.asyncio
async def test_r5_a_replay_may_have_a_request_id_of_its_own(box, raw):
    box.switches.replay_request_id = "new"

    first = await raw.exchange("x", key="k")
    again = await raw.exchange("x", key="k")

    assert first.headers["Request-Id"] != again.headers["Request-Id"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("counts", "remaining"), [(True, "298"), (False, "299")])
async def test_p8_a_replay_may_cost_nothing(box, raw, counts, remaining):
    box.switches.replay_counts_against_limit = counts
    await raw.exchange("x", key="k")

    again = await raw.exchange("x", key="k")

    assert again.headers["RateLimit-Remaining"] == remaining


@pytest.mark.asyncio
@pytest.mark.parametrize(("replays", "same"), [(True, True), (False, False)])
async def test_r8_patch_may_replay_as_post_does(box, raw, replays, same):
    box.switches.patch_replays = replays
    key = {"Idempotency-Key": "k"}

    first = await raw.send("PATCH", "/x", box.source.api_key, headers=key)
    again = await raw.send("PATCH", "/x", box.source.api_key, headers=key)

    assert (first.headers["Request-Id"] == again.headers["Request-Id"]) is same
