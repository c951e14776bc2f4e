"""F30 to F39f: every status, by operation: the number of attempts and the error."""

import attrs
import pytest

from persona_share import Scope
from persona_share.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    IdempotencyMismatchError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PersonaError,
    Phase,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
    UnexpectedRedirectError,
    UnprocessableError,
)


@attrs.frozen
class Call:
    """One operation of the client, and whether it has an idempotency key."""

    name: str
    make: object
    keyed: bool = True
    repeatable: bool = False

    def __call__(self, client):
        return self.make(client)


AUTH = Call(
    "AUTH",
    lambda c: c.oauth.authorize(client_id="org_1", scope=Scope.read("inq_1")),
    repeatable=True,
)
GET = Call("GET", lambda c: c.inquiries.retrieve("inq_1"), keyed=False)
CREATE = Call(
    "CREATE",
    lambda c: c.share_tokens.create(connection_id="con_1", source_id="inq_1"),
)
REDEEM = Call("REDEEM", lambda c: c.share_tokens.redeem("cnst_1"))
EXPIRE = Call("EXPIRE", lambda c: c.share_tokens.expire("cnst_1"), repeatable=True)
CALLS = (AUTH, GET, CREATE, REDEEM, EXPIRE)
POSTS = (AUTH, CREATE, REDEEM, EXPIRE)
every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
every_post = pytest.mark.parametrize("call", POSTS, ids=lambda call: call.name)


async def refused(env, call, kind, status, **options):
    """Return the error of a call that always gets this response."""
    env.sandbox.faults.answer("*", status, times=None, **options)
    with pytest.raises(kind) as caught:
        await call(env.client)
    return caught.value


def statuses(error):
    return [attempt.status for attempt in error.attempts]


def keys(env):
    return [entry.idempotency_key for entry in env.entries()]


# ── Never repeated ──────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@every_call
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 306, 307, 308])
async def test_f30_redirect_is_an_error_that_names_its_origin_only(env, call, status):
    target = {"Location": "https://elsewhere.example/secret-path?token=x"}
    error = await refused(env, call, UnexpectedRedirectError, status, headers=target)
    assert statuses(error) == [status]
    assert "https://elsewhere.example" in str(error)
    assert "secret" not in str(error)


REFUSALS = {
    "f31": (400, BadRequestError),
    "f34": (403, PermissionDeniedError),
    "f35": (404, NotFoundError),
    "f37": (409, ConflictError),
    "f38": (422, UnprocessableError),
}


@pytest.mark.asyncio
@every_call
@pytest.mark.parametrize(("status", "kind"), REFUSALS.values(), ids=REFUSALS)
async def test_f31_f34_f35_f37_f38_refusal_is_not_retried(env, call, status, kind):
    error = await refused(env, call, kind, status, details="because")
    assert type(error) is kind
    assert statuses(error) == [status]
    assert error.details == "because"
    assert error.request_id
    assert error.organization_id
    assert error.environment_id
    assert not error.retryable
    assert env.clock.slept == []


@pytest.mark.asyncio
@every_call
async def test_f33_refused_api_key_is_not_retried(env, call):
    error = await refused(env, call, AuthenticationError, 401)
    assert statuses(error) == [401]
    assert not error.retryable
    assert env.clock.slept == []


@pytest.mark.asyncio
@every_post
async def test_f32_reused_key_is_reported_and_not_shown(env, call):
    title = "Idempotency error"
    error = await refused(env, call, IdempotencyMismatchError, 400, title=title)
    assert statuses(error) == [400]
    sent = keys(env)[0]
    assert sent is not None
    assert sent not in f"{error} {vars(error)}"


@pytest.mark.asyncio
@every_call
async def test_f34_f39c_used_up_quota_is_recognized_by_its_title(env, call):
    options = {"title": "Quota exceeded", "details": "You have hit your quota"}
    error = await refused(env, call, QuotaExceededError, 403, **options)
    assert statuses(error) == [403]


@pytest.mark.asyncio
@every_call
@pytest.mark.parametrize("status", [418, 451, 501, 505, 507, 599, 999])
async def test_f39f_other_status_is_not_retried(env, call, status):
    kind = ServerError if 500 <= status < 600 else ApiError
    error = await refused(env, call, ApiError, status)
    assert type(error) is kind
    assert statuses(error) == [status]


# ── Repeated ────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@every_call
async def test_f36_408_is_retried_twice_with_one_key(env, call):
    env.sandbox.faults.answer("*", 408, times=2)
    env.sandbox.faults.answer("*", 418)
    with pytest.raises(ApiError) as caught:
        await call(env.client)
    assert statuses(caught.value) == [408, 408, 418]
    assert len(set(keys(env))) == 1
    assert (keys(env)[0] is not None) is call.keyed
    assert sum(env.clock.slept) <= 0.25 + 0.5


@pytest.mark.asyncio
@every_call
async def test_f39a_429_is_retried_after_the_time_in_its_headers(env, call):
    reset = {"RateLimit-Reset": "7"}
    env.sandbox.faults.answer("*", 429, headers=reset, times=1)
    env.sandbox.faults.answer("*", 418)
    with pytest.raises(ApiError) as caught:
        await call(env.client)
    assert statuses(caught.value) == [429, 418]
    assert sum(env.clock.slept) >= 7
    assert len(set(keys(env))) == 1


@pytest.mark.asyncio
@every_call
async def test_f39a_call_does_not_wait_longer_than_a_window(env, call):
    later = {"Retry-After": "400"}
    error = await refused(env, call, RateLimitedError, 429, headers=later)
    assert error.retry_after == 400
    assert statuses(error) == [429]
    assert env.clock.slept == []


BARE = dict.fromkeys(
    ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"), None
)


@pytest.mark.asyncio
@every_call
async def test_f39b_429_without_headers_waits_5_and_10_seconds(env, call):
    error = await refused(env, call, RateLimitedError, 429, headers=BARE)
    assert statuses(error) == [429] * 3
    first, second = (attempt.delay for attempt in error.attempts[:2])
    assert 5 <= first <= 6.25
    assert 10 <= second <= 12.5
    assert len(set(keys(env))) == 1


@pytest.mark.asyncio
@every_call
async def test_f39c_quota_429_waits_for_the_quota(env, call):
    error = await refused(
        env,
        call,
        QuotaExceededError,
        429,
        title="Quota exceeded",
        headers={"Quota-Reset": "9"},
    )
    assert statuses(error) == [429] * 3
    assert all(attempt.delay >= 9 for attempt in error.attempts[:2])


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_f39d_f39e_read_is_retried_twice(env, status):
    error = await refused(env, GET, ServerError, status)
    assert statuses(error) == [status] * 3
    assert sum(env.clock.slept) <= 0.25 + 0.5


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [500, 502, 503, 504])
@every_post
async def test_f39d_f39e_post_is_retried_once_with_its_key(env, call, status):
    kind = ServerError if call.repeatable else OutcomeUnknownError
    error = await refused(env, call, kind, status)
    posts = [each for each in env.entries() if each.operation.startswith("POST")]
    sent = [each.idempotency_key for each in posts]
    if call.repeatable:  # then it may be done again, under a new key
        assert len(sent) == 3
        assert sent[0] == sent[1] != sent[2]
    else:
        assert len(sent) == 2
        assert sent[0] == sent[1]
        assert error.phase is Phase.AMBIGUOUS
        assert error.idempotency_key is not None
        assert error.reconcile or error.advice  # G25
    assert 0.5 <= error.attempts[0].delay <= 1


@pytest.mark.asyncio
@every_post
async def test_f39d_response_to_a_retry_is_the_result(env, call):
    env.sandbox.faults.answer("*", 500, times=1)
    env.sandbox.faults.answer("*", 422)
    with pytest.raises(UnprocessableError) as caught:
        await call(env.client)
    assert statuses(caught.value) == [500, 422]


@pytest.mark.asyncio
async def test_f39e_503_is_retried_after_its_retry_after(env):
    later = {"Retry-After": "6"}
    error = await refused(env, GET, ServerError, 503, headers=later)
    assert statuses(error) == [503] * 3
    assert all(6 <= attempt.delay < 8 for attempt in error.attempts[:2])


@pytest.mark.asyncio
@every_call
async def test_nothing_is_retried_without_retries(env, call):
    client = env.client.with_options(retries=0)
    for status in (408, 429, 500, 503):
        env.sandbox.faults.answer("*", status, headers=BARE)
        with pytest.raises(PersonaError) as caught:
            await call(client)
        assert statuses(caught.value)[0] == status
        # A redemption in doubt is looked up, which is no repetition of it.
        assert len(caught.value.attempts) == 1
