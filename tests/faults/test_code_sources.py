"""F77 and F78: code sources that recurse, hang, raise, or return unusable codes."""

import asyncio
import traceback
from datetime import timedelta

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import (
    AuthenticationError,
    CodeAlreadyUsedError,
    CodeRefusedError,
    CodeRejectedError,
    CodeSourceError,
    ConfigurationError,
    InvalidArgumentError,
    ManagerClosedError,
    NotFoundError,
    NotOpenError,
    PermissionDeniedError,
    Phase,
    ReentrantCodeSourceError,
)
from persona_share.model.token import AuthorizationCode


SCOPE = Scope.read("inq_1", "ver_2")


# ── Code sources ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f77_code_source_that_requests_its_scope_indirectly_fails(harness):
    other = Scope.read("act_3")
    seen = []

    async def detour(scope):
        try:
            await manager.token(other if scope == SCOPE else SCOPE)
        except Exception as error:
            seen.append(type(error).__name__)
            raise

    manager = await harness.manager(codes=detour)
    with pytest.raises(
        ReentrantCodeSourceError,
        match="requested a token for the scope that it supplies",
    ):
        await manager.token(SCOPE)
    assert seen == ["ReentrantCodeSourceError", "ReentrantCodeSourceError"]


@pytest.mark.asyncio
async def test_f77_code_sources_that_wait_for_each_other_fail_at_once(harness):
    other = Scope.read("act_3")

    async def detour(scope):
        await manager.token(other if scope == SCOPE else SCOPE)

    manager = await harness.manager(codes=detour)
    callers = asyncio.gather(
        *(manager.token(each) for each in (SCOPE, other)), return_exceptions=True
    )
    errors = await harness.advance_until_done(callers, seconds=1)
    assert {type(each) for each in errors} == {ReentrantCodeSourceError}


@pytest.mark.asyncio
async def test_f77_chain_of_forty_code_sources_that_wait_takes_no_other_caller_long(
    harness,
):
    scopes = [Scope.read(f"inq_{number}") for number in range(40)]

    async def nested(scope):
        for other in scopes[scopes.index(scope) + 1 :][:1]:
            await asyncio.gather(*(manager.token(other) for _ in range(2)))
        return await harness.partner(scope)

    harness.partner.delay = 1.0
    manager = await harness.manager(codes=nested)
    first = asyncio.ensure_future(manager.token(scopes[0]))
    for _ in range(20):
        await harness.settle()
    callers = asyncio.gather(first, *(manager.token(each) for each in scopes))
    assert len(await harness.advance_until_done(callers)) == 41


@pytest.mark.asyncio
async def test_f77_source_gets_a_token_of_the_source_that_started_its_refresh(harness):
    other = Scope.read("act_3")

    async def with_help(scope):
        needed = other if scope == SCOPE else SCOPE
        if harness.partner.requested_scopes:
            await manager.token(needed)
        return await harness.partner(scope)

    manager = await harness.manager(codes=with_help)
    await manager.token(other)
    await harness.advance_clock(3599 - 120)
    assert await manager.token(SCOPE)
    await harness.settle()
    assert harness.partner.requested_scopes == [other, SCOPE, other]


@pytest.mark.asyncio
async def test_f77_source_gets_the_cached_token_during_a_refresh(harness):
    given = []

    async def circular(scope):
        if given:
            given.append(await manager.token(scope))
        return await harness.partner(scope)

    manager = await harness.manager(codes=circular)
    given.append(await manager.token(SCOPE))
    await harness.advance_clock(3599 - 40)
    renewed = await manager.token(SCOPE)
    assert given[1:] == given[:1]
    assert renewed.ends > given[0].ends


@pytest.mark.asyncio
async def test_f77_code_source_can_request_another_scope(harness):
    async def with_help(scope):
        if scope == SCOPE:
            await manager.token(Scope.read("act_3"))
        return await harness.partner(scope)

    manager = await harness.manager(codes=with_help)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
async def test_f78_hanging_source_times_out_after_a_minute(harness):
    harness.partner.delay = 10_000
    manager = await harness.manager()
    began = harness.clock.now()
    with pytest.raises(CodeSourceError, match="within 60 s") as caught:
        await harness.advance_until_done(manager.token(SCOPE), seconds=99)
    assert harness.clock.now() - began == pytest.approx(60, abs=1)
    assert caught.value.reason == "TimeoutError"


@pytest.mark.asyncio
async def test_f78_timeout_error_of_a_source_is_its_own_error(harness):
    harness.partner.script = [TimeoutError("of its own")]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match="raised TimeoutError") as caught:
        await manager.token(SCOPE)
    assert "within 60 s" not in str(caught.value)


class Unusual(BaseException):
    """An exception that `except Exception` does not catch."""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "error",
    [Unusual(), GeneratorExit(), BaseExceptionGroup("several", [Unusual()])],
    ids=lambda error: type(error).__name__,
)
async def test_f78_base_exception_of_a_source_is_a_failure_of_the_source(
    harness, error
):
    harness.partner.script = [error]
    manager = await harness.manager()
    with pytest.raises(
        CodeSourceError, match=f"raised {type(error).__name__}"
    ) as caught:
        await manager.token(SCOPE)
    assert caught.value.phase is Phase.NOT_SENT


@pytest.mark.asyncio
async def test_f78_exception_of_a_source_is_the_cause_and_its_text_is_not_repeated(
    harness, caplog
):
    caplog.set_level("DEBUG")
    raised = ValueError("canary")

    async def broken(scope):
        raise raised

    manager = await harness.manager(codes=broken)
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    error = caught.value
    assert error.reason == "ValueError"
    assert "test_code_sources.py:" in str(error)
    assert (
        "canary" not in f"{error}{error!r}{error.__dict__}{harness.events}{caplog.text}"
    )
    assert error.__cause__ is raised
    frames = traceback.extract_tb(raised.__traceback__)
    assert frames[-1].name == "broken"


class HTTPClientError(Exception):
    """As those of aiohttp, httpx and requests: it refers to a request."""

    def __init__(self):
        super().__init__("401 for url https://partner/?key=canary")
        self.request_info = {"Authorization": "canary"}
        self.status = 401


def chain_of(error):
    """Return an error and what its traceback would show below it."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["direct", "cause", "context", "group", "refusal"])
async def test_http_client_error_is_redacted_at_any_depth_of_the_chain(harness, how):
    async def ask(scope):
        if how == "group":
            message = "two partners"
            raise ExceptionGroup(message, [HTTPClientError()])
        try:
            raise HTTPClientError
        except HTTPClientError as error:
            if how == "direct":
                raise
            if how == "context":
                raise LookupError  # noqa: B904
            if how == "refusal":
                raise CodeRefusedError("no") from error
            raise LookupError from error

    manager = await harness.manager(codes=ask)
    with pytest.raises((CodeSourceError, CodeRefusedError)) as caught:
        await manager.token(SCOPE)
    chain = chain_of(caught.value)
    assert "canary" not in repr([(each, each.args, vars(each)) for each in chain])
    assert len(chain) == (3 if how in ("cause", "context") else 2)
    last = str(chain[-1])
    assert "ExceptionGroup" in last if how == "group" else "with status 401" in last


@pytest.mark.asyncio
async def test_exception_that_is_its_own_cause_is_kept(harness):
    raised = ValueError("circle")
    raised.__cause__ = LookupError()
    raised.__cause__.__cause__ = raised
    harness.partner.script = [raised]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    assert caught.value.__cause__ is raised


@pytest.mark.asyncio
async def test_error_has_the_http_status_of_a_failed_source(harness):
    class FailedError(Exception):
        status = 503

    harness.partner.script = [FailedError("private")]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match="with status 503") as caught:
        await manager.token(SCOPE)
    assert caught.value.status == 503


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind", [NotOpenError, ConfigurationError, InvalidArgumentError, ManagerClosedError]
)
async def test_usage_error_of_a_source_is_raised_as_it_is(harness, kind):
    harness.partner.script = [kind("the mistake")]
    manager = await harness.manager()
    for _ in range(2):  # the second call fails because of the backoff
        with pytest.raises(kind, match="the code source failed: the mistake") as caught:
            await manager.token(SCOPE)
        assert caught.value.retry_after is None
        assert caught.value.advice == kind.advice
    assert isinstance(caught.value.__cause__, kind)
    assert len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [TypeError, AttributeError, NameError, ImportError])
async def test_mistake_in_a_source_is_not_retryable(harness, kind):
    harness.partner.script = [kind("a mistake")]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match=f"raised {kind.__name__}") as caught:
        await manager.token(SCOPE)
    assert not caught.value.retryable


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [7, {"code": "x"}, object()])
async def test_code_of_another_type_is_not_retryable(harness, given):
    harness.partner.script = [given]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match="returned no code") as caught:
        await manager.token(SCOPE)
    assert not caught.value.retryable


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "retryable"), [(404, False), (422, False), (429, True), (503, True)]
)
async def test_status_that_refuses_the_scope_is_not_retryable(
    harness, status, retryable
):
    failed = HTTPClientError()
    failed.status = status
    harness.partner.script = [failed]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match=f"with status {status}") as caught:
        await manager.token(SCOPE)
    assert caught.value.retryable is retryable


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotFoundError("404", status=404), "does not know at least one ID"),
        (PermissionDeniedError("denied", status=403), "denied"),
        (AuthenticationError("no such key", status=401), "no such key"),
    ],
)
async def test_refusal_of_the_service_has_its_own_advice(harness, error, text):
    harness.partner.script = [error]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match=text) as caught:
        await manager.token(SCOPE)
    assert not caught.value.retryable
    assert caught.value.advice == type(error).advice


@pytest.mark.asyncio
async def test_refusal_keeps_the_cause_of_its_source(harness):
    refusal = CodeRefusedError("no")
    refusal.__cause__ = PermissionError("of the application")
    harness.partner.script = [refusal]
    manager = await harness.manager()
    with pytest.raises(CodeRefusedError) as caught:
        await manager.token(SCOPE)
    assert isinstance(caught.value.__cause__, PermissionError)
    assert not caught.value.retryable


@pytest.mark.asyncio
async def test_f78_source_that_is_not_async_is_reported(harness):
    manager = await harness.manager(codes=lambda _scope: "code")
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    assert caught.value.reason == "TypeError"


@pytest.mark.asyncio
async def test_f78_scope_backs_off_when_the_source_returns_none(harness):
    async def none(scope):
        requested_scopes.append(scope)

    requested_scopes = []
    manager = await harness.manager(codes=none)
    for _ in range(3):
        with pytest.raises(CodeRefusedError):
            await manager.token(SCOPE)
    assert len(requested_scopes) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [7, b"code", ["code"], "", "a b", "ü", "x" * 9_000])
async def test_f78_invalid_code_is_reported_and_not_shown(harness, code):
    harness.partner.script = [code]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError, match="returned no code"):
        await manager.token(SCOPE)
    assert harness.service.requests == []


@pytest.mark.asyncio
async def test_f78_used_code_is_refused_locally_and_another_is_requested(
    harness,
):
    manager = await harness.manager()
    await manager.token(SCOPE)
    manager.invalidate(await manager.token(SCOPE))
    (used,) = harness.service.codes
    harness.partner.script = [used]
    assert (await manager.token(SCOPE)).reveal() == "token2"
    assert len(harness.partner.requested_scopes) == 3


@pytest.mark.asyncio
async def test_f78_source_that_returns_only_a_used_code_is_reported(harness):
    manager = await harness.manager()
    manager.invalidate(await manager.token(SCOPE))
    harness.partner.script = harness.service.codes * 2
    with pytest.raises(CodeAlreadyUsedError):
        await manager.token(SCOPE)
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f78_source_that_repeats_a_refused_code_shows_the_refusal(harness):
    harness.partner.script = [AuthorizationCode("no-code")] * 2
    harness.service.script = [Response(status=404, headers={"request-id": "req_1"})]
    manager = await harness.manager()
    with pytest.raises(CodeAlreadyUsedError) as caught:
        await manager.token(SCOPE)
    assert isinstance(caught.value.__cause__, CodeRejectedError)
    assert caught.value.__cause__.status == 404
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f78_scope_backs_off_after_codes_that_appear_expired(harness):
    ended = harness.clock.wall() - timedelta(seconds=1)
    codes = [AuthorizationCode(f"ended{n}", expires_at=ended) for n in range(3)]
    harness.partner.script = codes
    harness.service.script = [Response(status=404)] * 3
    manager = await harness.manager()
    with pytest.raises(CodeRejectedError, match="clock"):
        await manager.token(SCOPE)
    for _ in range(3):
        with pytest.raises(CodeRejectedError):
            await manager.token(SCOPE)
    assert harness.service.codes == ["ended0", "ended1"]
    assert len(harness.partner.requested_scopes) == 2


@pytest.mark.asyncio
async def test_f78_another_code_is_requested_when_the_service_refuses_one(
    harness,
):
    harness.service.script = [Response(status=404)]
    manager = await harness.manager()
    assert await manager.token(SCOPE)
    assert len(harness.partner.requested_scopes) == 2


@pytest.mark.asyncio
async def test_f78_scope_backs_off_after_two_refused_codes(harness):
    harness.service.script = [Response(status=404)] * 9
    manager = await harness.manager()
    for _ in range(5):
        with pytest.raises(CodeRejectedError):
            await manager.token(SCOPE)
    assert len(harness.partner.requested_scopes) == 2
