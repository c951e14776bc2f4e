"""Opening, filling and describing a sandbox."""

import asyncio
import json

import aiohttp
import pytest

from persona_share.errors import ConfigurationError, InvalidIdError, NotOpenError
from persona_share.sandbox import Sandbox, serve
from tests.sandbox.raw import Raw


@pytest.mark.asyncio
async def test_the_url_is_a_base_url_on_loopback():
    box = Sandbox()
    with pytest.raises(NotOpenError):
        _ = box.url

    async with box:
        assert box.url.startswith("http://127.0.0.1:")
        assert box.url.endswith("/api/v1")


@pytest.mark.asyncio
async def test_the_seed_decides_ids_and_people_but_no_key():
    first, again, other = (Sandbox(seed=seed) for seed in (1, 1, 2))

    ids = [box.populate(2) for box in (first, again, other)]

    assert ids[0] == ids[1] != ids[2]
    assert first.source.id == again.source.id != other.source.id
    assert first.source.api_key != again.source.api_key
    assert first.source.api_key.startswith("localbox_")
    assert first.destination.api_key.startswith("localbox_")


@pytest.mark.asyncio
async def test_it_describes_itself_as_json(box):
    ids = box.populate(10)

    facts = json.loads(json.dumps(box.describe()))

    assert facts == {
        "url": box.url,
        "files_url": box.files_url,
        "inspector_url": box.inspector_url,
        "connections": [],
        "source": {"id": box.source.id, "api_key": box.source.api_key},
        "destination": {"id": box.destination.id, "api_key": box.destination.api_key},
        "inquiries": ids,
    }
    assert len(set(ids)) == 10


@pytest.mark.asyncio
async def test_its_clock_runs_with_real_seconds_and_can_be_advanced():
    async with Sandbox() as box:
        begun = box.now()
        await asyncio.sleep(0.05)  # noqa: TID251 - the clock under test is the real one
        box.advance(100)

        assert 100.05 <= box.now() - begun < 110


@pytest.mark.asyncio
async def test_serve_runs_until_it_is_cancelled():
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(ready.set_result, inquiries=3))
    box = await ready
    async with aiohttp.ClientSession() as session:
        answer = await Raw(session, box).get("/inquiries")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(aiohttp.ClientConnectionError):
            await Raw(session, box).get("/inquiries")

    assert len(answer.json["data"]) == 3


@pytest.mark.asyncio
async def test_it_closes_at_once_although_a_request_hangs():
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        async with Sandbox() as box:
            box.faults.hang("*", None)
            request = asyncio.create_task(Raw(session, box).get("/rate-limits"))
            await asyncio.wait([request], timeout=0.1)
            begun = loop.time()
        await asyncio.gather(request, return_exceptions=True)

    assert loop.time() - begun < 3


@pytest.mark.parametrize(
    "option",
    [{"token_lifetime": 0}, {"code_lifetime": -1}, {"host": "0.0.0.0"}],  # noqa: S104
)
def test_options_that_cannot_be_used_are_refused(option):
    with pytest.raises(ConfigurationError):
        Sandbox(**option)


def test_objects_are_checked_when_they_are_added():
    box = Sandbox()
    inquiry = box.add_inquiry().id

    with pytest.raises(InvalidIdError):
        box.add_inquiry(id="a/b")
    with pytest.raises(ValueError, match="already"):
        box.add_inquiry(id=inquiry)
    with pytest.raises(ValueError, match="no inquiry"):
        box.add_verification(inquiry="inq_nowhere")
    with pytest.raises(ValueError, match="no account"):
        box.add_inquiry(account=inquiry)


def test_a_switch_that_does_not_exist_cannot_be_set():
    with pytest.raises(AttributeError):
        Sandbox().switches.code_is_reusable = True
