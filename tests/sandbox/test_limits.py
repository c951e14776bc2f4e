"""The rate limit: a fixed window an environment, from its first request on."""

import aiohttp
import pytest

from persona_share.sandbox import Sandbox
from tests.sandbox.raw import Raw


def limits(answer):
    return {k[10:]: v for k, v in answer.headers.items() if k.startswith("RateLimit-")}


@pytest.mark.asyncio
async def test_each_answer_tells_what_is_left_of_the_window(box, raw):
    first = await raw.get("/rate-limits")
    box.advance(20)
    second = await raw.get("/inquiries/inq_nowhere")

    assert limits(first) == {"Limit": "300", "Remaining": "299", "Reset": "60"}
    assert limits(second) == {"Limit": "300", "Remaining": "298", "Reset": "40"}


@pytest.mark.asyncio
async def test_one_request_too_many_is_answered_as_documented(box, raw):
    box.source.environment.window.limit = 1
    await raw.get("/rate-limits")
    box.advance(10)

    answer = await raw.get("/rate-limits")

    assert answer.status == 429
    assert answer.error == {
        "title": "Rate limit exceeded",
        "details": (
            "You have hit your rate limit of 1 requests / min. Please reach out to "
            "support@withpersona.com if you need this changed."
        ),
    }
    assert limits(answer) == {"Limit": "1", "Remaining": "0", "Reset": "50"}
    assert "Retry-After" not in answer.headers
    assert answer.headers["Request-Id"]


@pytest.mark.asyncio
async def test_the_window_ends_60_seconds_after_its_first_request(box, raw):
    box.source.environment.window.limit = 1
    await raw.get("/rate-limits")

    box.advance(59.9)
    before = await raw.get("/rate-limits")
    box.advance(0.1)
    after = await raw.get("/rate-limits")

    assert (before.status, after.status) == (429, 200)


@pytest.mark.asyncio
async def test_the_two_organizations_do_not_share_a_window(box, raw):
    box.source.environment.window.limit = 0

    assert (await raw.get("/rate-limits")).status == 429
    assert (await raw.get("/rate-limits", box.destination.api_key)).status == 200


@pytest.mark.asyncio
async def test_all_keys_of_an_environment_share_its_window(box, raw):
    await raw.get("/rate-limits")

    answer = await raw.get("/rate-limits", box.add_api_key(box.source))

    assert limits(answer)["Remaining"] == "298"


@pytest.mark.asyncio
async def test_no_limit_is_announced_as_a_large_one():
    async with Sandbox(rate_limit=None) as box, aiohttp.ClientSession() as session:
        answer = await Raw(session, box).get("/rate-limits")

    assert limits(answer)["Limit"] == "100000"


@pytest.mark.asyncio
async def test_a_key_may_have_a_limit_of_its_own(box, raw):
    key = box.add_api_key(box.source, rate_limit=1)

    first = await raw.get("/rate-limits", key)
    second = await raw.get("/rate-limits", key)
    other = await raw.get("/rate-limits")

    assert limits(first) == {"Limit": "1", "Remaining": "0", "Reset": "60"}
    assert (second.status, limits(second)["Limit"]) == (429, "1")
    assert limits(other) == {"Limit": "300", "Remaining": "298", "Reset": "60"}


@pytest.mark.asyncio
async def test_the_headers_report_the_limit_that_is_nearer(box, raw):
    key = box.add_api_key(box.source, rate_limit=100)
    box.source.environment.window.limit = 101
    for _ in range(3):
        await raw.get("/rate-limits")

    answer = await raw.get("/rate-limits", key)

    assert limits(answer)["Limit"] == "101"
    assert limits(answer)["Remaining"] == "97"


@pytest.mark.asyncio
async def test_every_key_may_be_limited(box, raw):
    box.switches.key_limit = 7

    assert limits(await raw.get("/rate-limits"))["Limit"] == "7"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rounding", "reset"), [("up", "58"), ("down", "57"), ("exact", "57.500")]
)
async def test_the_reset_is_rounded_as_the_switch_says(box, raw, rounding, reset):
    box.switches.reset_rounding = rounding
    await raw.get("/rate-limits")

    box.advance(2.5)

    assert limits(await raw.get("/rate-limits"))["Reset"] == reset


@pytest.mark.asyncio
@pytest.mark.parametrize(("end", "left"), [("source", "298"), ("destination", "298")])
async def test_r9_a_tokens_calls_may_count_for_either_end(box, raw, end, left):
    box.switches.limit_of_scoped_token = end
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")
    other = {"source": box.destination, "destination": box.source}[end]

    answer = await raw.get(f"/inquiries/{inquiry}", token)

    assert limits(answer)["Remaining"] == left
    assert other.environment.window.remaining == 299


@pytest.mark.asyncio
async def test_r10_a_401_may_carry_the_headers(box, raw):
    box.switches.rate_limit_headers_on_401 = True

    answer = await raw.send("GET", "/rate-limits")

    assert answer.status == 401
    assert limits(answer)["Limit"] == "300"


@pytest.mark.asyncio
async def test_r6_a_429_may_carry_retry_after(box, raw):
    box.switches.retry_after_on_429 = True
    box.source.environment.window.limit = 0

    answer = await raw.get("/rate-limits")

    assert answer.headers["Retry-After"] == "60"


@pytest.mark.asyncio
@pytest.mark.parametrize("prefix", ["Quota", "QuotaLimit"])
@pytest.mark.parametrize("status", [429, 403])
async def test_r7_the_oauth_operations_may_have_a_quota(box, raw, prefix, status):
    box.switches.oauth_quota = 1
    box.switches.quota_prefix = prefix
    box.switches.quota_status = status
    scope = f"inquiry.read:{box.add_inquiry().id}"

    within, over = await raw.authorize(scope), await raw.authorize(scope)

    assert within.status == 201
    assert within.headers[f"{prefix}-Remaining"] == "0"
    assert over.status == status
    assert over.error["title"] == "Quota exceeded"
    assert over.headers[f"{prefix}-Limit"] == "1"


@pytest.mark.asyncio
async def test_the_limits_can_be_asked_for(box, raw):
    key = box.add_api_key(box.source, rate_limit=5)

    answer = await raw.get("/rate-limits", key)

    assert answer.json["data"] == [
        {
            "type": "rate-limit/api",
            "attributes": {"limit": 300, "remaining": 299, "seconds-to-reset": 60},
        },
        {
            "type": "rate-limit/api",
            "attributes": {"limit": 5, "remaining": 4, "seconds-to-reset": 60},
        },
    ]
