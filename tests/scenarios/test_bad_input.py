"""Bad input raises a clear error before anything is sent, and nothing is lost."""

import asyncio
import logging
import pickle
import threading

import pytest

from persona_share import (
    PersonaClient,
    RateLimitPolicy,
    RetryPolicy,
    Scope,
    ScopedTokenManager,
    Timeouts,
)
from persona_share.errors import (
    ClientClosedError,
    ConfigurationError,
    ConnectionLostError,
    InsecureOriginError,
    InvalidArgumentError,
    InvalidIdError,
    InvalidScopeError,
    ManagerClosedError,
    NotOpenError,
    PersonaError,
    Phase,
    ReentrantCodeSourceError,
    WrongEventLoopError,
)
from tests.servers import RawServer, http_response, respond_with


@pytest.mark.parametrize("scope", ["", " ", "inquiry", "inquiry.read:", "a b", "x:y:z"])
@pytest.mark.asyncio
async def test_malformed_scope_is_refused(scenario, scope):
    async with scenario.manager() as manager:
        with pytest.raises(InvalidScopeError):
            manager.session(scope)
        with pytest.raises(InvalidScopeError):
            await manager.token(scope)
    assert len(scenario.sandbox.log) == 0


@pytest.mark.parametrize(
    "object_id", ["", "../x", "a/b", "a\r\nX: y", "ü", "%2e%2e", "a b", "a?b", "a#b"]
)
@pytest.mark.asyncio
async def test_malformed_id_is_refused(scenario, object_id):
    with pytest.raises(InvalidIdError):
        await scenario.source.inquiries.retrieve(object_id)
    assert len(scenario.sandbox.log) == 0


@pytest.mark.parametrize(
    "url",
    ["http://api.withpersona.com/api/v1", "http://127.0.0.1:1/api/v1", "http://[::1]"],
)
def test_plain_http_url_is_refused(url):
    with pytest.raises(InsecureOriginError):
        PersonaClient("localbox_key", base_url=url)


@pytest.mark.parametrize(
    "url", ["", "api.withpersona.com", "ftp://x", "https://u:p@api.withpersona.com", 7]
)
def test_invalid_base_url_is_refused(url):
    with pytest.raises(ConfigurationError):
        PersonaClient("localbox_key", base_url=url)


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nX: y", "ü", None, 7])
def test_empty_or_invalid_key_is_refused(key):
    with pytest.raises(ConfigurationError, match="api_key"):
        PersonaClient(key)


@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan")])
def test_invalid_timeout_is_refused(value):
    with pytest.raises(ConfigurationError, match="timeout"):
        PersonaClient("localbox_key", timeout=value)


def test_version_that_is_not_a_date_is_refused():
    with pytest.raises(ConfigurationError, match="persona_version"):
        PersonaClient("localbox_key", persona_version="latest\r\nX: y")


@pytest.mark.asyncio
async def test_use_outside_async_with_is_refused():
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
async def test_use_after_close_is_refused(scenario):
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    async with scenario.manager() as manager:
        session = manager.session(scope)
        await session.inquiries.retrieve(scope.object_ids()[0])
    requests = len(scenario.sandbox.log)
    with pytest.raises(ManagerClosedError):
        await session.inquiries.retrieve(scope.object_ids()[0])
    with pytest.raises(ManagerClosedError):
        await manager.token(scope)
    await manager.aclose()
    await scenario.source.aclose()
    with pytest.raises(ClientClosedError):
        await scenario.source.inquiries.retrieve("inq_1")
    await scenario.source.aclose()
    assert len(scenario.sandbox.log) == requests


@pytest.mark.asyncio
@pytest.mark.parametrize("begun", [False, True], ids=["no response", "half a body"])
async def test_call_in_flight_says_that_the_client_was_closed(begun):
    async def stop(connection):
        await connection.request()
        if begun:
            await connection.send(http_response(200, b"{}")[:-1])
        await connection.end()

    async with RawServer(stop) as server:
        client = PersonaClient("k", base_url=server.api, insecure_local=True)
        async with client:
            call = asyncio.ensure_future(client.inquiries.retrieve("inq_1"))
            await server.reached()
        with pytest.raises(ConnectionLostError, match="the client was closed") as e:
            await call
    assert e.value.phase is Phase.AMBIGUOUS
    assert server.received.count(b"GET") == len(e.value.attempts) == 1


@pytest.mark.asyncio
async def test_f68_use_from_another_loop_is_refused(scenario):
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    errors = []
    async with scenario.manager() as manager:
        await manager.token(scope)

        async def use(work):
            try:
                await work
            except WrongEventLoopError as error:
                errors.append(error)

        async def elsewhere():
            await use(manager.token(scope))
            await use(manager.session(scope).inquiries.retrieve(scope.object_ids()[0]))
            await use(scenario.source.inquiries.retrieve("inq_1"))

        thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        thread.start()
        thread.join()
    assert len(errors) == 3


@pytest.mark.asyncio
async def test_f69_use_from_a_thread_without_a_loop_is_refused(scenario):
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    errors = []
    async with scenario.manager() as manager:
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
async def test_f77_code_source_that_requests_its_own_scope_fails(scenario):
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    errors = []

    async def circular(asked):
        try:
            await manager.token(asked)
        except ReentrantCodeSourceError as error:
            errors.append(error)
            raise

    async with scenario.manager(codes=circular) as manager:
        with pytest.raises(
            Exception, match="requested a token for the scope that it supplies"
        ):
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
        (("POST", "/inquiries"), {"json": {"a": "\ud800"}}),
        (("POST", "/inquiries"), {"form": {"a": "\ud800"}}),
        (("GET", "/inquiries"), {"query": {"a": "\ud800"}}),
        (("GET", "/inquiries"), {"query": {"\ud800": "a"}}),
    ],
)
@pytest.mark.asyncio
async def test_request_that_cannot_be_sent_is_refused(scenario, arguments, options):
    with pytest.raises(InvalidArgumentError):
        await scenario.source.request(*arguments, **options)
    assert len(scenario.sandbox.log) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"hooks": print},
        {"hooks": [1]},
        {"hooks": None},
        {"retry": 3},
        {"pool": 10},
        {"timeouts": 30},
        {"http": "httpx"},
        {"ssl_context": False, "base_url": "https://127.0.0.1/api/v1"},
        {"proxy": 7},
        {"proxy": "socks5://x", "base_url": "https://127.0.0.1/api/v1"},
        {"allowed_hosts": "example.com"},
        {"file_hosts": [7]},
        {"insecure_local": 7},
        {"app_info": "my app\r\nX: y"},
    ],
    ids=str,
)
def test_option_of_another_type_is_refused_where_the_client_is_created(options):
    given = {"base_url": "http://127.0.0.1:1/api/v1", "insecure_local": True}
    with pytest.raises(ConfigurationError):
        PersonaClient("localbox_key", **{**given, **options})


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (RetryPolicy, "attempts"),
        (RetryPolicy, "transient_base"),
        (Timeouts, "connect"),
        (RateLimitPolicy, "max_wait"),
        (RateLimitPolicy, "reset_unknown"),
    ],
)
@pytest.mark.parametrize("value", [-1, True, "5", float("nan")])
def test_invalid_number_in_a_policy_is_named(policy, field, value):
    with pytest.raises(ConfigurationError, match=field):
        policy(**{field: value})


def test_client_cannot_be_pickled():
    with pytest.raises(ConfigurationError, match="from_env"):
        pickle.dumps(PersonaClient("localbox_key"))


@pytest.mark.asyncio
async def test_integer_of_a_hundred_digits_is_sent_and_returned_exactly():
    number = 12345678901234567890**5
    body = b'{"data":{"type":"inquiry","id":"inq_1","attributes":{"n":%d}}}' % number
    server = RawServer(respond_with(http_response(200, body)))
    async with server:
        here = {"base_url": server.api, "insecure_local": True}
        async with PersonaClient("k", **here) as client:
            found = await client.request("POST", "/inquiries", json={"n": number})
    assert found.raw["data"]["attributes"]["n"] == number
    assert str(number).encode() in server.received


# ── Ids that a response names ───────────────────────────────────────────────────


HOSTILE_IDS = {
    "control characters": "req_\u202e\u009b31m",
    "a line separator": "req_\u2028ERROR forged",
    "far too long": "r" * 5_000,
    "the key of the request": "req_CANARY-key-0123456789",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 404, 503])
@pytest.mark.parametrize("request_id", HOSTILE_IDS.values(), ids=HOSTILE_IDS)
async def test_request_id_is_scrubbed_in_messages_and_logs(request_id, status, caplog):
    caplog.set_level(logging.DEBUG, "persona_share")
    body = b'{"data":{"type":"inquiry","id":"inq_1"}}' if status == 200 else b"{}"
    header = f"\r\nRequest-Id: {request_id}\r\n\r\n".encode()
    response = http_response(status, body).replace(b"\r\n\r\n", header, 1)
    events, texts = [], []
    server = RawServer(respond_with(response))
    async with (
        server,
        PersonaClient(
            "CANARY-key-0123456789",
            base_url=server.api,
            insecure_local=True,
            hooks=[events.append],
            retry=RetryPolicy(transient_base=0.001),
        ) as client,
    ):
        try:
            await client.inquiries.retrieve("inq_1")
        except PersonaError as error:
            texts += [str(error), repr(error), error.request_id]
            texts += [attempt.request_id for attempt in error.attempts]
    texts += [event.request_id for event in events]
    texts += [record.getMessage() for record in caplog.records]

    assert any("req_" in each or "rrr" in each for each in texts)
    for each in texts:
        assert each.isprintable()
        assert "r" * 65 not in each
        assert "CANARY" not in each
