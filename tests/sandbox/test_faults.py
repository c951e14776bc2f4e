"""Faults happen when, where and as often as they were asked for."""

import asyncio
from http import HTTPStatus

import aiohttp
import pytest


READ = "GET /inquiries/{inquiry-id}"
TOKEN = "POST /oauth/token"


@pytest.mark.asyncio
async def test_response_is_injected_as_often_as_planned_and_for_its_operation_only(
    sandbox, raw
):
    inquiry = sandbox.add_inquiry().id
    sandbox.faults.answer(READ, 503, times=2)

    other = await raw.get("/rate-limits")
    statuses = [(await raw.get(f"/inquiries/{inquiry}")).status for _ in range(3)]

    assert other.status == 200
    assert statuses == [503, 503, 200]


@pytest.mark.asyncio
async def test_fault_without_a_count_stays_until_it_is_cleared(sandbox, raw):
    sandbox.faults.answer("*", 500, times=None)
    statuses = {(await raw.get("/rate-limits")).status for _ in range(5)}

    sandbox.faults.clear()

    assert statuses == {500}
    assert (await raw.get("/rate-limits")).status == 200


@pytest.mark.asyncio
async def test_injected_response_may_have_any_title_headers_and_body(sandbox, raw):
    sandbox.faults.answer("*", 403, title="Quota exceeded", details="d")
    titled = await raw.get("/rate-limits")
    headers = {"Retry-After": "7", "RateLimit-Reset": None, "Content-Type": "text/html"}
    sandbox.faults.answer("*", 502, headers=headers, body="<h1>Bad gateway</h1>")
    page = await raw.get("/rate-limits")
    sandbox.faults.answer("*", 200, body={"data": 1})
    odd = await raw.get("/rate-limits")

    assert titled.error == {"title": "Quota exceeded", "details": "d"}
    assert page.body == b"<h1>Bad gateway</h1>"
    assert page.headers["Content-Type"] == "text/html"
    assert page.headers["Retry-After"] == "7"
    assert "RateLimit-Reset" not in page.headers
    assert odd.json == {"data": 1}


@pytest.mark.asyncio
async def test_injected_429_equals_a_real_one(sandbox, raw):
    sandbox.faults.answer("*", 429)

    response = await raw.get("/rate-limits")

    assert response.error["title"] == "Rate limit exceeded"
    assert response.headers["RateLimit-Remaining"] == "0"


@pytest.mark.asyncio
async def test_injected_response_is_not_stored_for_its_key(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    sandbox.faults.answer(TOKEN, 502)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (first.status, again.status) == (502, 201)


@pytest.mark.asyncio
async def test_f11_request_whose_response_was_lost_can_be_recovered(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    sandbox.faults.lose_answer(TOKEN)

    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.exchange(code, key="k")
    recovered = await raw.exchange(code, key="k")

    assert recovered.status == 201
    assert sandbox.log.tokens_issued == 1
    assert [e.status for e in sandbox.log.find(TOKEN)] == [None, 201]


@pytest.mark.asyncio
async def test_request_is_not_processed_when_its_connection_is_cut(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    sandbox.faults.cut(TOKEN)

    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.exchange(code, key="k")

    assert sandbox.log.tokens_issued == 0
    assert (await raw.exchange(code, key="other")).status == 201


@pytest.mark.asyncio
async def test_truncated_body_is_incomplete(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    sandbox.faults.truncate(READ)

    with pytest.raises(aiohttp.ClientPayloadError):
        await raw.get(f"/inquiries/{inquiry}")

    assert (await raw.get(f"/inquiries/{inquiry}")).status == 200


@pytest.mark.asyncio
async def test_delay_takes_real_seconds(sandbox, raw):
    sandbox.faults.delay("GET /rate-limits", 0.1)
    loop = asyncio.get_running_loop()

    begun = loop.time()
    await raw.get("/rate-limits")
    between = loop.time()
    await raw.get("/rate-limits")

    assert between - begun >= 0.1
    assert loop.time() - between < 0.1


@pytest.mark.asyncio
async def test_latency_applies_to_every_response(sandbox, raw):
    sandbox.latency = 0.05
    loop = asyncio.get_running_loop()

    begun = loop.time()
    await raw.exchange("x", key="k")
    await raw.exchange("x", key="k")

    assert loop.time() - begun >= 0.1


@pytest.mark.asyncio
@pytest.mark.parametrize(("acted", "issued"), [(False, 0), (True, 1)])
async def test_hanging_request_continues_when_released(sandbox, raw, acted, issued):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    sandbox.faults.hang(TOKEN, acted=acted)
    request = asyncio.create_task(raw.exchange(code, key="k"))
    done, _ = await asyncio.wait([request], timeout=0.1)

    assert not done
    assert sandbox.log.tokens_issued == issued
    sandbox.faults.release()
    assert (await request).status == 201


@pytest.mark.asyncio
async def test_duplicate_of_a_hanging_request_is_served(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    sandbox.faults.hang(TOKEN)
    request = asyncio.create_task(raw.exchange(code, key="k"))
    await asyncio.wait([request], timeout=0.1)

    duplicate = await raw.exchange(code, key="k")
    sandbox.faults.release()

    assert (duplicate.status, (await request).body) == (201, duplicate.body)


@pytest.mark.asyncio
async def test_random_faults_are_the_same_for_the_same_seed(sandbox, raw):
    async def outcomes(seed):
        sandbox.faults.random(0.5, seed, [500, 503, "stored_500"])
        responses = [await raw.get("/rate-limits") for _ in range(20)]
        return [response.status for response in responses]

    first, again, other = await outcomes(1), await outcomes(1), await outcomes(2)

    assert first == again != other
    assert set(first) == {200, 500, 503}


@pytest.mark.asyncio
async def test_random_faults_cut_lose_and_truncate_responses(sandbox, raw):
    sandbox.faults.random(1, 0, ["cut", "lose_answer", "truncate"], operation=READ)
    inquiry = sandbox.add_inquiry().id

    for _ in range(5):
        with pytest.raises(aiohttp.ClientError):
            await raw.get(f"/inquiries/{inquiry}")

    assert (await raw.get("/rate-limits")).status == 200


def test_impossible_fault_is_refused(sandbox):
    with pytest.raises(ValueError, match="no operation 'GET /inquiries/inq_1'"):
        sandbox.faults.cut("GET /inquiries/inq_1")
    with pytest.raises(ValueError, match="is not a kind of fault"):
        sandbox.faults.random(0.1, 0, ["earthquake"])


@pytest.mark.asyncio
async def test_crash_of_the_sandbox_is_a_500_and_visible_to_tests(sandbox, raw):
    sandbox.switches.grants = lambda _: 1 / 0

    response = await raw.exchange(
        await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    )

    assert response.status == 500
    assert response.error == {"title": "Sandbox crash", "details": "ZeroDivisionError"}
    assert isinstance(sandbox.log.crashes.pop(), ZeroDivisionError)


@pytest.mark.parametrize("status", [0, 99, 101, 1000])
def test_status_that_no_response_has_is_refused(sandbox, status):
    with pytest.raises(ValueError, match="a status from 200 to 999"):
        sandbox.faults.answer(READ, status)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("expired_token_status", 404, r"takes \[401, 403\], not 404"),
        ("reset_rounding", "Up", "takes .*'up'.*, not 'Up'"),
        ("used_code_status", "409", "takes int, not '409'"),
        ("used_code_status", True, "takes int, not True"),
        ("oauth_enabled", 0, "takes bool, not 0"),
    ],
)
def test_value_that_a_switch_does_not_take_is_refused(sandbox, name, value, words):
    before = getattr(sandbox.switches, name)
    with pytest.raises(ValueError, match=words):
        setattr(sandbox.switches, name, value)
    with pytest.raises(ValueError, match=words):
        sandbox.set_switches(**{name: value})
    assert getattr(sandbox.switches, name) == before


def test_switch_takes_a_status_of_the_standard_library(sandbox):
    sandbox.switches.used_code_status = HTTPStatus.CONFLICT
    sandbox.switches.expired_token_status = HTTPStatus.FORBIDDEN
    assert sandbox.switches.used_code_status == 409
