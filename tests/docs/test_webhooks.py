"""The page about webhooks does what it says, against the sandbox."""

import re

import orjson
import pytest
from aiohttp import web

from persona_share._protocol.signature import InvalidDelivery
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore
from persona_share.testing import FakeClock
from persona_share.webhooks import ReplayGuard, Verifier, sign
from tests.docs.blocks import ROOT, blocks_of, names_of


PAGE = "docs/howto/webhooks.md"
RECEIVE, ANYWHERE, ACT, DELIVER = (names_of(block, PAGE) for block in blocks_of(PAGE))


async def served(app):
    """Return a running application and its URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}/persona"


@pytest.mark.asyncio
async def test_event_is_delivered_until_it_was_handled_and_handled_once(
    tmp_path, monkeypatch, capsys
):
    calls = []

    async def act_on(event):
        calls.append(event.id)
        if len(calls) == 1:
            raise ConnectionError
        await ACT["act_on"](event)

    async with Sandbox() as sandbox:
        # The application needs the secret, and the webhook its address.
        webhook = sandbox.add_webhook("http://127.0.0.1:9/")
        monkeypatch.setenv("PERSONA_WEBHOOK_SECRETS", webhook.secret)
        monkeypatch.chdir(tmp_path)
        runner, webhook.url = await served(RECEIVE["application"](act_on))
        await DELIVER["deliver_one"](sandbox)
        sandbox.advance(3)
        await sandbox.deliver_webhooks()
        sandbox.resend_event(calls[0])
        await sandbox.deliver_webhooks()
        await runner.cleanup()

    assert [each.status for each in webhook.attempts] == [500, 200, 200]
    assert len(calls) == 2
    assert re.fullmatch(r"approved: inq_\w+\n", capsys.readouterr().out)


@pytest.mark.asyncio
async def test_receiver_for_any_framework_returns_the_status_of_each_delivery():
    clock = FakeClock()
    verifier = Verifier("wbhsec_one", clock=clock)
    guard = ReplayGuard(MemoryStore())
    body = orjson.dumps(
        {"data": {"type": "event", "id": "evt_1", "attributes": {"name": "a.b"}}}
    )
    signature = sign(body, "wbhsec_one", at=clock.wall())
    handled, statuses = [], []

    async def act_on(event):
        statuses.append(
            await ANYWHERE["receive"](verifier, guard, body, signature, None)
        )
        handled.append(event.id)

    first = await ANYWHERE["receive"](verifier, guard, body, signature, act_on)
    again = await ANYWHERE["receive"](verifier, guard, body, signature, act_on)
    forged = await ANYWHERE["receive"](verifier, guard, body, "t=1,v1=0", act_on)

    assert [*statuses, first, again, forged] == [503, 200, 200, 400]
    assert handled == ["evt_1"]


@pytest.mark.asyncio
async def test_unsigned_delivery_gets_400(tmp_path, monkeypatch):
    async def act_on(event):
        raise AssertionError(event)

    async with Sandbox() as sandbox:
        webhook = sandbox.add_webhook("http://127.0.0.1:9/")
        monkeypatch.setenv("PERSONA_WEBHOOK_SECRETS", "wbhsec_of_another_webhook")
        monkeypatch.chdir(tmp_path)
        runner, webhook.url = await served(RECEIVE["application"](act_on))
        await DELIVER["deliver_one"](sandbox)
        await runner.cleanup()

    assert [each.status for each in webhook.attempts] == [400]


def test_page_lists_every_reason():
    page = (ROOT / PAGE).read_text("utf-8")

    assert [
        each.value for each in InvalidDelivery if f"`{each.value}`" not in page
    ] == []
