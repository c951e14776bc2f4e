"""F77 and F78: code sources that recurse, hang, raise, or return unusable codes."""

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
    ReentrantCodeSourceError,
)
from persona_share.model.token import AuthorizationCode


SCOPE = Scope.read("inq_1", "ver_2")


# ── Code sources ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f77_code_source_that_requests_its_scope_indirectly_fails(house):
    other = Scope.read("act_3")
    seen = []

    async def detour(scope):
        try:
            await manager.token(other if scope == SCOPE else SCOPE)
        except Exception as error:
            seen.append(type(error).__name__)
            raise

    manager = await house.manager(codes=detour)
    with pytest.raises(
        ReentrantCodeSourceError,
        match="requested a token for the scope that it supplies",
    ):
        await manager.token(SCOPE)
    assert seen == ["ReentrantCodeSourceError", "ReentrantCodeSourceError"]


@pytest.mark.asyncio
async def test_f77_source_gets_the_cached_token_during_a_refresh(house):
    given = []

    async def circular(scope):
        if given:
            given.append(await manager.token(scope))
        return await house.partner(scope)

    manager = await house.manager(codes=circular)
    given.append(await manager.token(SCOPE))
    await house.pass_time(3599 - 40)
    renewed = await manager.token(SCOPE)
    assert given[1:] == given[:1]
    assert renewed.ends > given[0].ends


@pytest.mark.asyncio
async def test_f77_code_source_can_request_another_scope(house):
    async def with_help(scope):
        if scope == SCOPE:
            await manager.token(Scope.read("act_3"))
        return await house.partner(scope)

    manager = await house.manager(codes=with_help)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
async def test_f78_hanging_source_times_out_after_a_minute(house):
    house.partner.delay = 10_000
    manager = await house.manager()
    began = house.clock.now()
    with pytest.raises(CodeSourceError, match="within 60 s") as caught:
        await house.soon(manager.token(SCOPE), seconds=99)
    assert house.clock.now() - began == pytest.approx(60, abs=1)
    assert caught.value.reason == "TimeoutError"


@pytest.mark.asyncio
async def test_f78_timeout_error_of_a_source_is_its_own_error(house):
    house.partner.script = [TimeoutError("of its own")]
    manager = await house.manager()
    with pytest.raises(CodeSourceError, match="raised TimeoutError") as caught:
        await manager.token(SCOPE)
    assert "within 60 s" not in str(caught.value)


@pytest.mark.asyncio
async def test_f78_the_exception_of_a_source_is_the_cause_and_its_text_is_not_repeated(
    house, caplog
):
    caplog.set_level("DEBUG")
    raised = ValueError("canary")

    async def broken(scope):
        raise raised

    manager = await house.manager(codes=broken)
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    error = caught.value
    assert error.reason == "ValueError"
    assert "test_code_sources.py:" in str(error)
    assert (
        "canary" not in f"{error}{error!r}{error.__dict__}{house.events}{caplog.text}"
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
async def test_an_error_of_an_http_client_is_redacted_anywhere_in_the_chain(house, how):
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

    manager = await house.manager(codes=ask)
    with pytest.raises((CodeSourceError, CodeRefusedError)) as caught:
        await manager.token(SCOPE)
    chain = chain_of(caught.value)
    assert "canary" not in repr([(each, each.args, vars(each)) for each in chain])
    assert len(chain) == (3 if how in ("cause", "context") else 2)
    last = str(chain[-1])
    assert "ExceptionGroup" in last if how == "group" else "with status 401" in last


@pytest.mark.asyncio
async def test_an_exception_that_is_its_own_cause_is_kept(house):
    raised = ValueError("circle")
    raised.__cause__ = LookupError()
    raised.__cause__.__cause__ = raised
    house.partner.script = [raised]
    manager = await house.manager()
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    assert caught.value.__cause__ is raised


@pytest.mark.asyncio
async def test_error_has_the_http_status_of_a_failed_source(house):
    class FailedError(Exception):
        status = 503

    house.partner.script = [FailedError("private")]
    manager = await house.manager()
    with pytest.raises(CodeSourceError, match="with status 503") as caught:
        await manager.token(SCOPE)
    assert caught.value.status == 503


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind", [NotOpenError, ConfigurationError, InvalidArgumentError, ManagerClosedError]
)
async def test_a_usage_error_of_a_source_is_raised_as_it_is(house, kind):
    house.partner.script = [kind("the mistake")]
    manager = await house.manager()
    for _ in range(2):  # the second call is answered by the back-off
        with pytest.raises(kind, match="the code source failed: the mistake") as caught:
            await manager.token(SCOPE)
        assert caught.value.retry_after is None
        assert caught.value.advice == kind.advice
    assert isinstance(caught.value.__cause__, kind)
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [TypeError, AttributeError, NameError, ImportError])
async def test_a_mistake_in_a_source_is_not_retryable(house, kind):
    house.partner.script = [kind("a mistake")]
    manager = await house.manager()
    with pytest.raises(CodeSourceError, match=f"raised {kind.__name__}") as caught:
        await manager.token(SCOPE)
    assert not caught.value.retryable


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [7, {"code": "x"}, object()])
async def test_a_code_of_another_type_is_not_retryable(house, given):
    house.partner.script = [given]
    manager = await house.manager()
    with pytest.raises(CodeSourceError, match="returned no code") as caught:
        await manager.token(SCOPE)
    assert not caught.value.retryable


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "retryable"), [(404, False), (422, False), (429, True), (503, True)]
)
async def test_a_status_that_refuses_the_scope_is_not_retryable(
    house, status, retryable
):
    failed = HTTPClientError()
    failed.status = status
    house.partner.script = [failed]
    manager = await house.manager()
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
async def test_a_refusal_of_the_service_has_its_own_advice(house, error, text):
    house.partner.script = [error]
    manager = await house.manager()
    with pytest.raises(CodeSourceError, match=text) as caught:
        await manager.token(SCOPE)
    assert not caught.value.retryable
    assert caught.value.advice == type(error).advice


@pytest.mark.asyncio
async def test_refusal_keeps_the_cause_of_its_source(house):
    refusal = CodeRefusedError("no")
    refusal.__cause__ = PermissionError("of the application")
    house.partner.script = [refusal]
    manager = await house.manager()
    with pytest.raises(CodeRefusedError) as caught:
        await manager.token(SCOPE)
    assert isinstance(caught.value.__cause__, PermissionError)
    assert not caught.value.retryable


@pytest.mark.asyncio
async def test_f78_source_that_is_not_async_is_reported(house):
    manager = await house.manager(codes=lambda _scope: "code")
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    assert caught.value.reason == "TypeError"


@pytest.mark.asyncio
async def test_f78_scope_backs_off_when_the_source_returns_none(house):
    async def none(scope):
        asked.append(scope)

    asked = []
    manager = await house.manager(codes=none)
    for _ in range(3):
        with pytest.raises(CodeRefusedError):
            await manager.token(SCOPE)
    assert len(asked) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [7, b"code", ["code"], "", "a b", "ü", "x" * 9_000])
async def test_f78_invalid_code_is_reported_and_not_shown(house, code):
    house.partner.script = [code]
    manager = await house.manager()
    with pytest.raises(CodeSourceError, match="returned no code"):
        await manager.token(SCOPE)
    assert house.service.requests == []


@pytest.mark.asyncio
async def test_f78_used_code_is_refused_locally_and_another_is_requested(
    house,
):
    manager = await house.manager()
    await manager.token(SCOPE)
    manager.invalidate(await manager.token(SCOPE))
    (used,) = house.service.codes
    house.partner.script = [used]
    assert (await manager.token(SCOPE)).reveal() == "token2"
    assert len(house.partner.asked) == 3


@pytest.mark.asyncio
async def test_f78_source_that_returns_only_a_used_code_is_reported(house):
    manager = await house.manager()
    manager.invalidate(await manager.token(SCOPE))
    house.partner.script = house.service.codes * 2
    with pytest.raises(CodeAlreadyUsedError):
        await manager.token(SCOPE)
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f78_scope_backs_off_after_codes_that_seem_expired(house):
    ended = house.clock.wall() - timedelta(seconds=1)
    codes = [AuthorizationCode(f"ended{n}", expires_at=ended) for n in range(3)]
    house.partner.script = codes
    house.service.script = [Response(status=404)] * 3
    manager = await house.manager()
    with pytest.raises(CodeRejectedError, match="clock"):
        await manager.token(SCOPE)
    for _ in range(3):
        with pytest.raises(CodeRejectedError):
            await manager.token(SCOPE)
    assert house.service.codes == ["ended0", "ended1"]
    assert len(house.partner.asked) == 2


@pytest.mark.asyncio
async def test_f78_another_code_is_requested_when_the_service_refuses_one(
    house,
):
    house.service.script = [Response(status=404)]
    manager = await house.manager()
    assert await manager.token(SCOPE)
    assert len(house.partner.asked) == 2


@pytest.mark.asyncio
async def test_f78_scope_backs_off_after_two_refused_codes(house):
    house.service.script = [Response(status=404)] * 9
    manager = await house.manager()
    for _ in range(5):
        with pytest.raises(CodeRejectedError):
            await manager.token(SCOPE)
    assert len(house.partner.asked) == 2
