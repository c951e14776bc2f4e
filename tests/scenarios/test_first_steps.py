"""Common mistakes of new users."""

import functools
import logging
import pickle
import re

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from persona_share import (
    ClientCredentials,
    PersonaClient,
    RenewalPolicy,
    Scope,
    ScopedTokenManager,
)
from persona_share.errors import (
    CodeRefusedError,
    ConfigurationError,
    InvalidArgumentError,
    InvalidIdError,
    ScopeNotCoveredError,
)
from persona_share.testing import access_token


SCOPE = Scope.read("inq_1")


def new_client(**options):
    return PersonaClient("localbox_key", **options)


# ── Mistakes are refused in words, at construction where that is possible ─────────


def returns_text(scope):
    return "code"


def returns_awaitable(scope) -> "Awaitable[str]":  # noqa: F821
    return ask(scope)


async def ask(scope):
    return "code"


@functools.wraps(ask)
def traced(scope):
    return ask(scope)


class Source:
    def sync(self, scope):
        return "code"

    async def ask(self, scope):
        return "code"

    def __call__(self, scope):
        return ask(scope)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (returns_text, "codes must be an async function, and returns_text is not"),
        (Source().sync, "codes must be an async function, and sync is not"),
        (ClientCredentials, "not the class ClientCredentials"),
        ("code", "codes must be an async callable, not str"),
        (7, "codes must be an async callable, not int"),
    ],
)
def test_code_source_of_another_kind_is_refused_at_construction(codes, words):
    with pytest.raises(ConfigurationError, match=words):
        ScopedTokenManager(new_client(), codes=codes)


@pytest.mark.parametrize(
    "codes",
    [
        ask,
        returns_awaitable,
        traced,
        Source(),
        Source().ask,
        lambda _: ask(SCOPE),
        functools.partial(ask),
    ],
    ids=["async", "annotated", "wrapped", "object", "method", "lambda", "partial"],
)
def test_callable_that_may_return_an_awaitable_is_a_code_source(codes):
    ScopedTokenManager(new_client(), codes=codes)


@pytest.mark.parametrize("make", [new_client, lambda: ScopedTokenManager(new_client())])
def test_clients_managers_and_sessions_cannot_be_pickled(make):
    with pytest.raises(ConfigurationError, match="Create one in each process"):
        pickle.dumps(make())


def test_error_for_a_missing_key_names_the_fix(monkeypatch):
    monkeypatch.delenv("PERSONA_API_KEY", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        PersonaClient.from_env()
    message = str(caught.value)
    assert message == (
        "PERSONA_API_KEY is not set. "
        "Export it (such as persona_sandbox_…), or pass api_key=."
    )


@pytest.mark.asyncio
async def test_calls_that_contradict_themselves_are_named(scenario):
    inquiries = scenario.source.inquiries
    with pytest.raises(InvalidArgumentError, match=re.escape("['status']}")):
        await inquiries.retrieve("inq_1", fields=["status"])
    with pytest.raises(InvalidIdError, match="which is the id of a verification"):
        await inquiries.retrieve("ver_1")
    with pytest.warns(UserWarning, match="'complete' is not a status"):
        await inquiries.list(status="complete")


@pytest.mark.asyncio
async def test_session_names_the_missing_permission_and_sends_nothing(scenario):
    async with scenario.manager() as manager:
        session = manager.session("inquiry.read:inq_1")
        with pytest.raises(ScopeNotCoveredError) as caught:
            await session.verifications.retrieve("ver_1")
        assert caught.value.missing == "verification.read:ver_1"
        assert "does not cover verification.read:ver_1" in str(caught.value)
        assert "Nothing was sent." in str(caught.value)
        with pytest.raises(ScopeNotCoveredError):
            await session.request("GET", "/new-things/inq_2")
    assert len(scenario.sandbox.log) == 0


@pytest.mark.asyncio
async def test_partner_that_has_no_code_refuses_for_good(scenario):
    async def nothing(scope):
        return None

    async with scenario.manager(codes=nothing) as manager:
        with pytest.raises(CodeRefusedError) as caught:
            await manager.session("inquiry.read:inq_1").inquiries.retrieve("inq_1")
    assert not caught.value.retryable


# ── Small things that one looks for ──────────────────────────────────────────────


def test_refresh_policy_shows_ten_fields():
    assert len(attrs.fields(RenewalPolicy)) == 10


def test_header_of_a_token_is_masked():
    token = access_token(Scope.read("inq_1"), "CANARY")
    assert "CANARY" not in f"{token.header} {token.header!r} {token!r}"
    assert token.header.reveal() == "Bearer CANARY"


@pytest.mark.asyncio
async def test_program_names_itself_and_sees_the_headers_of_a_response():
    agents = []

    async def respond(request):
        agents.append(request.headers["User-Agent"])
        body = {"data": {"type": "inquiry", "id": "inq_1", "attributes": {}}}
        return web.json_response(body, headers={"RateLimit-Limit": "300"})

    app = web.Application()
    app.router.add_get("/api/v1/inquiries/inq_1", respond)
    async with TestServer(app) as server:
        url = str(server.make_url("/api/v1"))
        options = {"base_url": url, "insecure_local": True}
        async with new_client(app_info="shop/2.1", **options) as client:
            found = await client.inquiries.retrieve("inq_1")
    assert re.fullmatch(r"persona_share/\S+ .*shop/2\.1", *agents)
    assert found.response_info.headers["RateLimit-Limit"] == "300"


@pytest.fixture
def own_logger():
    """Leave the package's logger as it was."""
    logger = logging.getLogger("persona_share")
    before, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = before
    logger.setLevel(level)


@pytest.mark.asyncio
async def test_log_is_switched_on_by_a_variable(
    scenario, monkeypatch, capsys, own_logger
):
    monkeypatch.setenv("PERSONA_LOG", "debug")
    options = {"base_url": scenario.sandbox.url, "insecure_local": True}
    for _ in range(2):
        async with PersonaClient(scenario.sandbox.source.api_key, **options) as client:
            await client.rate_limits.list()
    lines = capsys.readouterr().err.splitlines()
    shown = [line for line in lines if "GET /rate-limits" in line]
    assert len(shown) == 2
    assert all(" DEBUG persona_share: " in line for line in shown)
    assert scenario.sandbox.source.api_key not in "".join(lines)


def test_level_of_the_log_that_is_none_is_refused(monkeypatch, own_logger):
    monkeypatch.setenv("PERSONA_LOG", "loud")
    with pytest.raises(ConfigurationError, match="debug, info or warning"):
        new_client()
