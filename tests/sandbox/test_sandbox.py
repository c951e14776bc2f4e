"""The sandbox: options, its clock and URL, switches and the log."""

import asyncio
import json
import logging
from pathlib import Path

import aiohttp
import attrs
import pytest

from persona_share.errors import ConfigurationError, InvalidIdError, NotOpenError
from persona_share.sandbox import Sandbox, Switches, serve
from persona_share.sandbox.runtime import Scheduler
from tests.sandbox.raw import RawClient


@pytest.mark.asyncio
async def test_url_is_on_loopback():
    sandbox = Sandbox()
    with pytest.raises(NotOpenError):
        _ = sandbox.url

    async with sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert sandbox.url.endswith("/api/v1")


@pytest.mark.asyncio
async def test_seed_determines_ids_and_people_but_not_keys():
    first, again, other = (Sandbox(seed=seed) for seed in (1, 1, 2))

    ids = [sandbox.populate(2) for sandbox in (first, again, other)]

    assert ids[0] == ids[1] != ids[2]
    assert first.source.id == again.source.id != other.source.id
    assert first.source.api_key != again.source.api_key
    assert first.source.api_key.startswith("localbox_")
    assert first.destination.api_key.startswith("localbox_")


@pytest.mark.asyncio
async def test_description_is_json(sandbox):
    ids = sandbox.populate(10)

    facts = json.loads(json.dumps(sandbox.describe()))

    assert facts == {
        "url": sandbox.url,
        "files_url": sandbox.files_url,
        "inspector_url": sandbox.inspector_url,
        "connections": [],
        "source": {"id": sandbox.source.id, "api_key": sandbox.source.api_key},
        "destination": {
            "id": sandbox.destination.id,
            "api_key": sandbox.destination.api_key,
        },
        "inquiries": ids,
    }
    assert len(set(ids)) == 10


@pytest.mark.asyncio
async def test_clock_runs_in_real_time_and_can_be_advanced():
    async with Sandbox() as sandbox:
        begun = sandbox.now()
        await asyncio.sleep(0.05)  # noqa: TID251 - the clock under test is the real one
        sandbox.advance(100)

        assert 100.05 <= sandbox.now() - begun < 110


@pytest.mark.asyncio
async def test_serve_runs_until_it_is_cancelled():
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(ready.set_result, inquiries=3))
    sandbox = await ready
    async with aiohttp.ClientSession() as session:
        response = await RawClient(session, sandbox).get("/inquiries")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(aiohttp.ClientConnectionError):
            await RawClient(session, sandbox).get("/inquiries")

    assert len(response.json["data"]) == 3


@pytest.mark.asyncio
async def test_sandbox_closes_at_once_when_a_request_hangs():
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        async with Sandbox() as sandbox:
            sandbox.faults.hang("*", None)
            request = asyncio.create_task(
                RawClient(session, sandbox).get("/rate-limits")
            )
            await asyncio.wait([request], timeout=0.1)
            begun = loop.time()
        await asyncio.gather(request, return_exceptions=True)

    assert loop.time() - begun < 3


@pytest.mark.parametrize(
    "option",
    [{"token_lifetime": 0}, {"code_lifetime": -1}, {"host": "0.0.0.0"}],  # noqa: S104
)
def test_invalid_options_are_refused(option):
    with pytest.raises(ConfigurationError):
        Sandbox(**option)


def test_invalid_objects_are_refused_when_added():
    sandbox = Sandbox()
    inquiry = sandbox.add_inquiry().id

    with pytest.raises(InvalidIdError):
        sandbox.add_inquiry(id="a/b")
    with pytest.raises(ValueError, match="already"):
        sandbox.add_inquiry(id=inquiry)
    with pytest.raises(ValueError, match="no inquiry"):
        sandbox.add_verification(inquiry="inq_nowhere")
    with pytest.raises(ValueError, match="no account"):
        sandbox.add_inquiry(account=inquiry)


def test_unknown_switch_cannot_be_set():
    with pytest.raises(AttributeError):
        Sandbox().switches.code_is_reusable = True


TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py"))


def test_each_switch_is_set_in_a_test():
    names = [field.name for field in attrs.fields(Switches)]
    assert not [each for each in names if f"switches.{each} = " not in TESTS]


@pytest.mark.asyncio
async def test_each_request_is_one_entry(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")
    sandbox.advance(5)
    response = await raw.get(f"/inquiries/{inquiry}", token)

    entry = sandbox.log[-1]

    assert len(sandbox.log) == 3
    assert entry.operation == "GET /inquiries/{inquiry-id}"
    assert (entry.status, entry.object_id) == (200, inquiry)
    assert (entry.organization, entry.credential) == (
        sandbox.destination.id,
        "access_token",
    )
    assert entry.token == sandbox.log.digest(token)
    assert entry.request_id == response.headers["Request-Id"]
    assert entry.at == sandbox.now()


@pytest.mark.asyncio
async def test_log_counts_entries(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    code = await raw.code(f"inquiry.read:{inquiry}")
    await raw.exchange(code, key="k")
    await raw.exchange(code, key="k")
    await raw.exchange("x", key="other")

    assert (
        sandbox.log.codes_issued
        == sandbox.log.codes_redeemed
        == sandbox.log.tokens_issued
        == 1
    )
    assert sandbox.log.count("POST /oauth/token", status=201) == 2
    assert sandbox.log.count("POST /oauth/token", status=201, replayed=False) == 1
    assert sandbox.log.count(status=404) == 1
    assert sandbox.log.count(object_id=inquiry) == 0
    keys = [entry.idempotency_key for entry in sandbox.log.find("POST /oauth/token")]
    assert keys == [sandbox.log.digest(key) for key in ("k", "k", "other")]
    sandbox.log.clear()
    assert (sandbox.log.count(), sandbox.log.tokens_issued) == (0, 0)


@pytest.mark.asyncio
async def test_no_secret_is_in_the_log_or_in_python_logging(sandbox, raw, caplog):
    caplog.set_level(logging.DEBUG)
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    token = (await raw.exchange(code, key="key-canary")).json["access-token"]
    await raw.get("/inquiries?filter[note]=query-canary", token)
    await raw.get("/inquiries/canary", "localbox_bearer_canary")
    await raw.send("GET", "/canary%00", "canary")

    seen = (
        repr(list(sandbox.log))
        + repr(sandbox.source)
        + repr(vars(sandbox))
        + caplog.text
    )

    for secret in (
        code,
        token,
        sandbox.source.api_key,
        sandbox.destination.api_key,
        "canary",
    ):
        assert secret not in seen.replace("object_id='canary'", "")


def test_callback_does_not_run_when_its_object_was_dropped():
    class Subject:
        pass

    ran, scheduler, kept = [], Scheduler(), Subject()
    scheduler.at(2, kept, lambda _, due: ran.append(("kept", due)))
    scheduler.at(1, Subject(), lambda _, due: ran.append(("dropped", due)))

    scheduler.run(3)

    assert ran == [("kept", 2)]
