"""Bad input gets its own clear error before any byte leaves, and nothing is lost."""

import asyncio
import threading

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import (
    ClientClosedError,
    ConfigurationError,
    InsecureOriginError,
    InvalidArgumentError,
    InvalidIdError,
    InvalidScopeError,
    ManagerClosedError,
    NotOpenError,
    ReentrantCodeSourceError,
    WrongEventLoopError,
)


@pytest.mark.parametrize("scope", ["", " ", "inquiry", "inquiry.read:", "a b", "x:y:z"])
@pytest.mark.asyncio
async def test_a_malformed_scope(journey, scope):
    async with journey.manager() as manager:
        with pytest.raises(InvalidScopeError):
            manager.session(scope)
        with pytest.raises(InvalidScopeError):
            await manager.token(scope)
    assert len(journey.box.log) == 0


@pytest.mark.parametrize(
    "object_id", ["", "../x", "a/b", "a\r\nX: y", "ü", "%2e%2e", "a b", "a?b", "a#b"]
)
@pytest.mark.asyncio
async def test_t16_a_malformed_id(journey, object_id):
    with pytest.raises(InvalidIdError):
        await journey.source.inquiries.retrieve(object_id)
    assert len(journey.box.log) == 0


@pytest.mark.parametrize(
    "url",
    ["http://api.withpersona.com/api/v1", "http://127.0.0.1:1/api/v1", "http://[::1]"],
)
def test_t3_a_plain_http_address(url):
    with pytest.raises(InsecureOriginError):
        PersonaClient("localbox_key", base_url=url)


@pytest.mark.parametrize(
    "url", ["", "api.withpersona.com", "ftp://x", "https://u:p@api.withpersona.com", 7]
)
def test_a_base_url_that_is_none(url):
    with pytest.raises(ConfigurationError):
        PersonaClient("localbox_key", base_url=url)


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nX: y", "ü", None, 7])
def test_an_empty_or_impossible_key(key):
    with pytest.raises(ConfigurationError, match="api_key"):
        PersonaClient(key)


@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan")])
def test_a_timeout_that_is_no_time(value):
    with pytest.raises(ConfigurationError, match="timeout"):
        PersonaClient("localbox_key", timeout=value)


def test_a_version_that_is_no_date():
    with pytest.raises(ConfigurationError, match="persona_version"):
        PersonaClient("localbox_key", persona_version="latest\r\nX: y")


@pytest.mark.asyncio
async def test_use_outside_async_with():
    client = PersonaClient("localbox_key")
    with pytest.raises(NotOpenError):
        await client.inquiries.retrieve("inq_1")
    manager = ScopedTokenManager(client)
    with pytest.raises(NotOpenError):
        await manager.token("inquiry.read:inq_1")
    with pytest.raises(NotOpenError):
        await manager.session("inquiry.read:inq_1").inquiries.retrieve("inq_1")
    with pytest.raises(NotOpenError):
        async with manager:
            pass


@pytest.mark.asyncio
async def test_use_after_close(journey):
    scope = Scope.read(journey.box.add_inquiry().id)
    async with journey.manager() as manager:
        session = manager.session(scope)
        await session.inquiries.retrieve(scope.object_ids()[0])
    requests = len(journey.box.log)
    with pytest.raises(ManagerClosedError):
        await session.inquiries.retrieve(scope.object_ids()[0])
    with pytest.raises(ManagerClosedError):
        await manager.token(scope)
    await manager.aclose()
    await journey.source.aclose()
    with pytest.raises(ClientClosedError):
        await journey.source.inquiries.retrieve("inq_1")
    await journey.source.aclose()
    assert len(journey.box.log) == requests


@pytest.mark.asyncio
async def test_f68_use_from_another_loop(journey):
    scope = Scope.read(journey.box.add_inquiry().id)
    errors = []
    async with journey.manager() as manager:
        await manager.token(scope)

        async def use(work):
            try:
                await work
            except WrongEventLoopError as error:
                errors.append(error)

        async def elsewhere():
            await use(manager.token(scope))
            await use(manager.session(scope).inquiries.retrieve(scope.object_ids()[0]))
            await use(journey.source.inquiries.retrieve("inq_1"))

        thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        thread.start()
        thread.join()
    assert len(errors) == 3


@pytest.mark.asyncio
async def test_f69_use_from_a_thread_without_a_loop(journey):
    scope = Scope.read(journey.box.add_inquiry().id)
    errors = []
    async with journey.manager() as manager:
        token = await manager.token(scope)

        def use():
            try:
                manager.invalidate(token)
            except WrongEventLoopError as error:
                errors.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert len(errors) == 1


@pytest.mark.asyncio
async def test_f77_a_code_source_that_asks_for_its_own_scope(journey):
    scope = Scope.read(journey.box.add_inquiry().id)
    errors = []

    async def circular(asked):
        try:
            await manager.token(asked)
        except ReentrantCodeSourceError as error:
            errors.append(error)
            raise

    async with journey.manager(codes=circular) as manager:
        with pytest.raises(Exception, match="asked for the scope that it is serving"):
            await manager.token(scope)
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("TRACE", "/inquiries"), {}),
        (("GET", "inquiries"), {}),
        (("GET", "//evil.example/x"), {}),
        (("GET", "/inquiries/../oauth/token"), {}),
        (("GET", "/inquiries?x=1"), {}),
        (("GET", "/inquiries/%2e%2e"), {}),
        (("GET", "/inquiries/{inquiry-id}"), {}),
        (("GET", "/inquiries"), {"path_params": {"inquiry-id": "inq_1"}}),
        (("GET", "/inquiries/{i}"), {"path_params": {"i": "../x"}}),
        (("GET", "/inquiries"), {"query": {"filter[x]": object()}}),
        (("GET", "/inquiries"), {"idempotency_key": "k"}),
        (("POST", "/inquiries"), {"idempotency_key": "k\r\nX: y"}),
        (("POST", "/inquiries"), {"json": {}, "form": {}}),
        (("POST", "/inquiries"), {"json": object()}),
    ],
)
@pytest.mark.asyncio
async def test_a_request_that_cannot_be_sent(journey, arguments, options):
    with pytest.raises(InvalidArgumentError):
        await journey.source.request(*arguments, **options)
    assert len(journey.box.log) == 0
