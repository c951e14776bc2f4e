"""Faults happen when, where and as often as they were asked for."""

import asyncio

import aiohttp
import pytest


READ = "GET /inquiries/{inquiry-id}"
TOKEN = "POST /oauth/token"


@pytest.mark.asyncio
async def test_an_answer_comes_as_often_as_asked_and_for_its_operation_only(box, raw):
    inquiry = box.add_inquiry().id
    box.faults.answer(READ, 503, times=2)

    other = await raw.get("/rate-limits")
    statuses = [(await raw.get(f"/inquiries/{inquiry}")).status for _ in range(3)]

    assert other.status == 200
    assert statuses == [503, 503, 200]


@pytest.mark.asyncio
async def test_a_fault_without_a_count_stays_until_it_is_cleared(box, raw):
    box.faults.answer("*", 500, times=None)
    statuses = {(await raw.get("/rate-limits")).status for _ in range(5)}

    box.faults.clear()

    assert statuses == {500}
    assert (await raw.get("/rate-limits")).status == 200


@pytest.mark.asyncio
async def test_an_answer_may_have_any_title_headers_and_body(box, raw):
    box.faults.answer("*", 403, title="Quota exceeded", details="d")
    titled = await raw.get("/rate-limits")
    headers = {"Retry-After": "7", "RateLimit-Reset": None, "Content-Type": "text/html"}
    box.faults.answer("*", 502, headers=headers, body="<h1>Bad gateway</h1>")
    page = await raw.get("/rate-limits")
    box.faults.answer("*", 200, body={"data": 1})
    odd = await raw.get("/rate-limits")

    assert titled.error == {"title": "Quota exceeded", "details": "d"}
    assert page.body == b"<h1>Bad gateway</h1>"
    assert page.headers["Content-Type"] == "text/html"
    assert page.headers["Retry-After"] == "7"
    assert "RateLimit-Reset" not in page.headers
    assert odd.json == {"data": 1}


@pytest.mark.asyncio
async def test_a_429_on_demand_looks_like_the_real_one(box, raw):
    box.faults.answer("*", 429)

    answer = await raw.get("/rate-limits")

    assert answer.error["title"] == "Rate limit exceeded"
    assert answer.headers["RateLimit-Remaining"] == "0"


@pytest.mark.asyncio
async def test_an_answer_that_is_not_stored_leaves_the_key_free(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    box.faults.answer(TOKEN, 502)

    first = await raw.exchange(code, key="k")
    again = await raw.exchange(code, key="k")

    assert (first.status, again.status) == (502, 201)


@pytest.mark.asyncio
async def test_f11_a_lost_answer_was_acted_on_and_can_be_recovered(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    box.faults.lose_answer(TOKEN)

    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.exchange(code, key="k")
    recovered = await raw.exchange(code, key="k")

    assert recovered.status == 201
    assert box.log.tokens_issued == 1
    assert [e.status for e in box.log.find(TOKEN)] == [None, 201]


@pytest.mark.asyncio
async def test_a_cut_connection_was_not_acted_on(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    box.faults.cut(TOKEN)

    with pytest.raises(aiohttp.ClientConnectionError):
        await raw.exchange(code, key="k")

    assert box.log.tokens_issued == 0
    assert (await raw.exchange(code, key="other")).status == 201


@pytest.mark.asyncio
async def test_a_truncated_body_breaks_off(box, raw):
    inquiry = box.add_inquiry().id
    box.faults.truncate(READ)

    with pytest.raises(aiohttp.ClientPayloadError):
        await raw.get(f"/inquiries/{inquiry}")

    assert (await raw.get(f"/inquiries/{inquiry}")).status == 200


@pytest.mark.asyncio
async def test_a_delay_takes_real_seconds(box, raw):
    box.faults.delay("GET /rate-limits", 0.1)
    loop = asyncio.get_running_loop()

    begun = loop.time()
    await raw.get("/rate-limits")
    between = loop.time()
    await raw.get("/rate-limits")

    assert between - begun >= 0.1
    assert loop.time() - between < 0.1


@pytest.mark.asyncio
async def test_latency_is_for_every_answer(box, raw):
    box.latency = 0.05
    loop = asyncio.get_running_loop()

    begun = loop.time()
    await raw.exchange("x", key="k")
    await raw.exchange("x", key="k")

    assert loop.time() - begun >= 0.1


@pytest.mark.asyncio
@pytest.mark.parametrize(("acted", "minted"), [(False, 0), (True, 1)])
async def test_a_hanging_request_goes_on_when_released(box, raw, acted, minted):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    box.faults.hang(TOKEN, acted=acted)
    request = asyncio.create_task(raw.exchange(code, key="k"))
    done, _ = await asyncio.wait([request], timeout=0.1)

    assert not done
    assert box.log.tokens_issued == minted
    box.faults.release()
    assert (await request).status == 201


@pytest.mark.asyncio
async def test_a_duplicate_of_a_hanging_request_is_served(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    box.faults.hang(TOKEN)
    request = asyncio.create_task(raw.exchange(code, key="k"))
    await asyncio.wait([request], timeout=0.1)

    duplicate = await raw.exchange(code, key="k")
    box.faults.release()

    assert (duplicate.status, (await request).body) == (201, duplicate.body)


@pytest.mark.asyncio
async def test_random_faults_are_the_same_for_the_same_seed(box, raw):
    async def outcomes(seed):
        box.faults.random(0.5, seed, [500, 503, "stored_500"])
        answers = [await raw.get("/rate-limits") for _ in range(20)]
        return [answer.status for answer in answers]

    first, again, other = await outcomes(1), await outcomes(1), await outcomes(2)

    assert first == again != other
    assert set(first) == {200, 500, 503}


@pytest.mark.asyncio
async def test_random_faults_may_cut_lose_and_truncate(box, raw):
    box.faults.random(1, 0, ["cut", "lose_answer", "truncate"], operation=READ)
    inquiry = box.add_inquiry().id

    for _ in range(5):
        with pytest.raises(aiohttp.ClientError):
            await raw.get(f"/inquiries/{inquiry}")

    assert (await raw.get("/rate-limits")).status == 200


def test_a_fault_that_could_never_happen_is_refused(box):
    with pytest.raises(ValueError, match="no operation 'GET /inquiries/inq_1'"):
        box.faults.cut("GET /inquiries/inq_1")
    with pytest.raises(ValueError, match="no kind of fault"):
        box.faults.random(0.1, 0, ["earthquake"])


@pytest.mark.asyncio
async def test_a_crash_of_the_sandbox_itself_is_a_500_that_a_test_can_see(box, raw):
    box.switches.grants = lambda _: 1 / 0

    answer = await raw.exchange(await raw.code(f"inquiry.read:{box.add_inquiry().id}"))

    assert answer.status == 500
    assert answer.error == {"title": "Sandbox crash", "details": "ZeroDivisionError"}
    assert isinstance(box.log.crashes.pop(), ZeroDivisionError)
