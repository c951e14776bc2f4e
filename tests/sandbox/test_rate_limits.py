"""Rate limits: a fixed window for each environment, from its first request."""

import aiohttp
import pytest

from persona_share.sandbox import Sandbox
from tests.sandbox.raw import RawClient


def limits(response):
    return {
        k[10:]: v for k, v in response.headers.items() if k.startswith("RateLimit-")
    }


@pytest.mark.asyncio
async def test_each_response_has_the_remaining_requests(sandbox, raw):
    first = await raw.get("/rate-limits")
    sandbox.advance(20)
    second = await raw.get("/inquiries/inq_nowhere")

    assert limits(first) == {"Limit": "300", "Remaining": "299", "Reset": "60"}
    assert limits(second) == {"Limit": "300", "Remaining": "298", "Reset": "40"}


@pytest.mark.asyncio
async def test_request_over_the_limit_gets_the_documented_429(sandbox, raw):
    sandbox.source.environment.window.limit = 1
    await raw.get("/rate-limits")
    sandbox.advance(10)

    response = await raw.get("/rate-limits")

    assert response.status == 429
    assert response.error == {
        "title": "Rate limit exceeded",
        "details": (
            "You have hit your rate limit of 1 requests / min. Please reach out to "
            "support@withpersona.com if you need this changed."
        ),
    }
    assert limits(response) == {"Limit": "1", "Remaining": "0", "Reset": "50"}
    assert "Retry-After" not in response.headers
    assert response.headers["Request-Id"]


@pytest.mark.asyncio
async def test_window_ends_60_seconds_after_its_first_request(sandbox, raw):
    sandbox.source.environment.window.limit = 1
    await raw.get("/rate-limits")

    sandbox.advance(59.9)
    before = await raw.get("/rate-limits")
    sandbox.advance(0.1)
    after = await raw.get("/rate-limits")

    assert (before.status, after.status) == (429, 200)


@pytest.mark.asyncio
async def test_organizations_do_not_share_a_window(sandbox, raw):
    sandbox.source.environment.window.limit = 0

    assert (await raw.get("/rate-limits")).status == 429
    assert (await raw.get("/rate-limits", sandbox.destination.api_key)).status == 200


@pytest.mark.asyncio
async def test_all_keys_of_an_environment_share_its_window(sandbox, raw):
    await raw.get("/rate-limits")

    response = await raw.get("/rate-limits", sandbox.add_api_key(sandbox.source))

    assert limits(response)["Remaining"] == "298"


@pytest.mark.asyncio
async def test_no_limit_is_announced_as_a_large_limit():
    async with Sandbox(rate_limit=None) as sandbox, aiohttp.ClientSession() as session:
        response = await RawClient(session, sandbox).get("/rate-limits")

    assert limits(response)["Limit"] == "100000"


@pytest.mark.asyncio
async def test_api_key_may_have_its_own_limit(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, rate_limit=1)

    first = await raw.get("/rate-limits", key)
    second = await raw.get("/rate-limits", key)
    other = await raw.get("/rate-limits")

    assert limits(first) == {"Limit": "1", "Remaining": "0", "Reset": "60"}
    assert (second.status, limits(second)["Limit"]) == (429, "1")
    assert limits(other) == {"Limit": "300", "Remaining": "298", "Reset": "60"}


@pytest.mark.asyncio
async def test_headers_report_the_limit_with_less_remaining(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, rate_limit=100)
    sandbox.source.environment.window.limit = 101
    for _ in range(3):
        await raw.get("/rate-limits")

    response = await raw.get("/rate-limits", key)

    assert limits(response)["Limit"] == "101"
    assert limits(response)["Remaining"] == "97"


@pytest.mark.asyncio
async def test_every_api_key_may_be_limited(sandbox, raw):
    sandbox.switches.key_limit = 7

    assert limits(await raw.get("/rate-limits"))["Limit"] == "7"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rounding", "reset"), [("up", "58"), ("down", "57"), ("exact", "57.500")]
)
async def test_reset_is_rounded_according_to_the_switch(sandbox, raw, rounding, reset):
    sandbox.switches.reset_rounding = rounding
    await raw.get("/rate-limits")

    sandbox.advance(2.5)

    assert limits(await raw.get("/rate-limits"))["Reset"] == reset


@pytest.mark.asyncio
@pytest.mark.parametrize(("end", "left"), [("source", "298"), ("destination", "298")])
async def test_requests_of_a_token_may_count_against_either_organization(
    sandbox, raw, end, left
):
    sandbox.switches.limit_of_scoped_token = end
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")
    other = {"source": sandbox.destination, "destination": sandbox.source}[end]

    response = await raw.get(f"/inquiries/{inquiry}", token)

    assert limits(response)["Remaining"] == left
    assert other.environment.window.remaining == 299


@pytest.mark.asyncio
async def test_401_may_have_rate_limit_headers(sandbox, raw):
    sandbox.switches.rate_limit_headers_on_401 = True

    response = await raw.send("GET", "/rate-limits")

    assert response.status == 401
    assert limits(response)["Limit"] == "300"


@pytest.mark.asyncio
async def test_429_may_have_retry_after(sandbox, raw):
    sandbox.switches.retry_after_on_429 = True
    sandbox.source.environment.window.limit = 0

    response = await raw.get("/rate-limits")

    assert response.headers["Retry-After"] == "60"


@pytest.mark.asyncio
@pytest.mark.parametrize("prefix", ["Quota", "QuotaLimit"])
@pytest.mark.parametrize("status", [429, 403])
async def test_oauth_operations_may_have_a_quota(sandbox, raw, prefix, status):
    sandbox.switches.oauth_quota = 1
    sandbox.switches.quota_prefix = prefix
    sandbox.switches.quota_status = status
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"

    within, over = await raw.authorize(scope), await raw.authorize(scope)

    assert within.status == 201
    assert within.headers[f"{prefix}-Remaining"] == "0"
    assert over.status == status
    assert over.error["title"] == "Quota exceeded"
    assert over.headers[f"{prefix}-Limit"] == "1"


@pytest.mark.asyncio
async def test_rate_limits_are_listed(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, rate_limit=5)

    response = await raw.get("/rate-limits", key)

    assert response.json["data"] == [
        {
            "type": "rate-limit/api",
            "attributes": {"limit": 300, "remaining": 299, "seconds-to-reset": 60},
        },
        {
            "type": "rate-limit/api",
            "attributes": {"limit": 5, "remaining": 4, "seconds-to-reset": 60},
        },
    ]
