"""Webhooks: signed, retried by the sandbox's clock, with secrets that rotate."""

import asyncio
import hashlib
import hmac
import json
import re

import pytest
import pytest_asyncio
from aiohttp import web

from persona_share.errors import ConfigurationError, NotOpenError
from persona_share.sandbox import Sandbox
from persona_share.sandbox.state.webhooks import RETRIES
from tests.sandbox.raw import body
from tests.sandbox.sharing import redeem, shared


class Receiver:
    """A webhook endpoint that stores deliveries and responds as a test says."""

    def __init__(self):
        self.status, self.requests = 200, []
        self.received = asyncio.Event()
        self.url = ""

    async def handle(self, request):
        self.requests.append((dict(request.headers), await request.read()))
        self.received.set()
        if self.status is None:
            await asyncio.Event().wait()
        return web.Response(status=self.status)

    @property
    def names(self):
        return [
            json.loads(sent)["data"]["attributes"]["name"] for _, sent in self.requests
        ]


@pytest_asyncio.fixture
async def receiver():
    made = Receiver()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/hook"
    yield made
    await runner.cleanup()


def signed(secret, header, sent):
    """Return whether a set of the header has the documented MAC of these bytes."""
    when, given = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", header).groups()
    message = when.encode() + b"." + sent
    expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return given == expected


@pytest.mark.asyncio
async def test_event_is_delivered_with_a_signature(sandbox, raw, receiver):
    webhook = sandbox.add_webhook(receiver.url)
    inquiry = sandbox.add_inquiry().id

    await raw.post(f"/inquiries/{inquiry}/approve")
    await sandbox.deliver_webhooks()

    ((headers, sent),) = receiver.requests
    data = json.loads(sent)["data"]
    assert data["type"] == "event"
    assert data["attributes"]["name"] == "inquiry.approved"
    assert data["attributes"]["payload"]["data"]["id"] == inquiry
    assert headers["Persona-Signature"].startswith("t=1767268800,v1=")
    assert signed(webhook.secret, headers["Persona-Signature"], sent)
    assert headers["Persona-Webhook-Attempts-Made"] == "1"
    assert headers["Persona-Webhook-Attempts-Left"] == "7"
    assert headers["Persona-Webhook-First-Attempted-At"] == "1767268800"
    assert "Authorization" not in headers


@pytest.mark.asyncio
async def test_event_is_delivered_promptly(sandbox, raw, receiver):
    sandbox.add_webhook(receiver.url)

    sandbox.add_event(object=sandbox.add_inquiry().id, name="inquiry.completed")

    await asyncio.wait_for(receiver.received.wait(), 5)
    assert receiver.names == ["inquiry.completed"]


@pytest.mark.asyncio
async def test_only_enabled_events_are_delivered(sandbox, raw, receiver):
    sandbox.add_webhook(receiver.url, events=["inquiry.declined"])
    sandbox.add_webhook(
        receiver.url, organization=sandbox.destination, events=["inquiry.approved"]
    )
    inquiry = sandbox.add_inquiry().id

    await raw.post(f"/inquiries/{inquiry}/approve")
    await raw.post(f"/inquiries/{inquiry}/decline")
    await sandbox.deliver_webhooks()

    assert receiver.names == ["inquiry.declined"]


@pytest.mark.asyncio
async def test_sharing_events_are_delivered_to_both_organizations(
    sandbox, raw, receiver
):
    sandbox.add_webhook(receiver.url)
    sandbox.add_webhook(receiver.url, organization=sandbox.destination)
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token)
    sandbox.advance(2)
    await sandbox.deliver_webhooks()

    assert sorted(receiver.names) == [
        "connect/share-token.inbound-created",
        "connect/share-token.inbound-redeemed",
        "connect/share-token.outbound-created",
        "connect/share-token.outbound-redeemed",
    ]


@pytest.mark.asyncio
async def test_delivery_is_retried_at_the_documented_times_with_a_new_signature(
    sandbox, receiver
):
    receiver.status = 500
    webhook = sandbox.add_webhook(receiver.url)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    begun = sandbox.now()
    await sandbox.deliver_webhooks()

    for seconds in RETRIES:
        sandbox.advance(seconds - 1)
        assert await sandbox.deliver_webhooks() == 0
        sandbox.advance(1)
        await sandbox.deliver_webhooks()
    sandbox.advance(10**7)
    await sandbox.deliver_webhooks()

    times = [each.at - begun for each in webhook.attempts]
    assert times == [0, 3, 67, 796, 4892, 20517, 67173, 184822]
    assert [each.made for each in webhook.attempts] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {each.delivered for each in webhook.attempts} == {False}
    last, sent = receiver.requests[-1]
    assert last["Persona-Webhook-Attempts-Left"] == "0"
    assert last["Persona-Webhook-First-Attempted-At"] == "1767268800"
    assert last["Persona-Signature"].startswith(f"t={1767268800 + 184822},")
    assert signed(webhook.secret, last["Persona-Signature"], sent)
    assert {sent for _, sent in receiver.requests} == {sent}


@pytest.mark.asyncio
async def test_success_ends_the_retries(sandbox, receiver):
    receiver.status = 500
    webhook = sandbox.add_webhook(receiver.url)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()
    receiver.status = 204
    sandbox.advance(3)
    await sandbox.deliver_webhooks()
    sandbox.advance(10**7)
    await sandbox.deliver_webhooks()

    assert [each.status for each in webhook.attempts] == [500, 204]


@pytest.mark.asyncio
async def test_statuses_that_count_as_success_are_a_switch(sandbox, receiver):
    receiver.status = 206
    webhook = sandbox.add_webhook(receiver.url)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()
    sandbox.switches.webhook_success = "listed"
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()

    assert [each.delivered for each in webhook.attempts] == [True, False]


@pytest.mark.asyncio
async def test_timeout_and_a_refused_connection_are_failures(sandbox, receiver):
    sandbox.switches.webhook_timeout = 0.05
    receiver.status = None
    slow = sandbox.add_webhook(receiver.url)
    gone = sandbox.add_webhook("http://127.0.0.1:9/")
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()

    assert [each.status for each in slow.attempts] == [None]
    assert [each.status for each in gone.attempts] == [None]


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
async def test_f142_two_secrets_sign_while_one_is_rotated(sandbox, receiver, order):
    sandbox.switches.rotation_order = order
    webhook = sandbox.add_webhook(receiver.url)
    old = webhook.secret
    new = sandbox.rotate_webhook_secret(webhook.id, overlap=60)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()
    sandbox.advance(60)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()

    (during, sent), (after, later) = receiver.requests
    sets = during["Persona-Signature"].split(" ")
    first, second = (new, old) if order == "newest_first" else (old, new)
    assert len(sets) == 2
    assert signed(first, sets[0], sent)
    assert signed(second, sets[1], sent)
    assert signed(new, after["Persona-Signature"], later)


@pytest.mark.asyncio
async def test_event_can_be_delivered_again(sandbox, receiver):
    sandbox.add_webhook(receiver.url)
    event = sandbox.add_event(object=sandbox.add_inquiry().id).id
    await sandbox.deliver_webhooks()
    sandbox.resend_event(event)
    await sandbox.deliver_webhooks()

    bodies = [sent for _, sent in receiver.requests]
    assert bodies[0] == bodies[1]
    with pytest.raises(ValueError, match="no event"):
        sandbox.resend_event("evt_nowhere")


@pytest.mark.asyncio
async def test_disabled_webhook_gets_no_deliveries(sandbox, receiver):
    receiver.status = 500
    webhook = sandbox.add_webhook(receiver.url)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()
    sandbox.disable_webhook(webhook.id)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    sandbox.advance(10**7)

    assert await sandbox.deliver_webhooks() == 0
    assert len(receiver.requests) == 1


@pytest.mark.asyncio
async def test_each_webhook_has_its_inflection(sandbox, raw, receiver):
    sandbox.add_webhook(receiver.url, inflection="camel")
    await raw.post("/inquiries", json=body(reference_id="r"))
    await sandbox.deliver_webhooks()

    ((_, sent),) = receiver.requests
    attributes = json.loads(sent)["data"]["attributes"]
    assert "createdAt" in attributes
    inner = attributes["payload"]["data"]["attributes"]
    assert inner["referenceId"] == "r"
    assert "name-first" in inner["fields"]


@pytest.mark.asyncio
async def test_deliveries_are_logged_without_secrets(sandbox, receiver):
    webhook = sandbox.add_webhook(receiver.url)
    event = sandbox.add_event(object=sandbox.add_inquiry().id).id
    await sandbox.deliver_webhooks()

    (entry,) = sandbox.log.find("POST (webhook)")
    assert (entry.status, entry.object_id) == (200, event)
    assert webhook.secret not in repr(list(sandbox.log)) + repr(webhook)


@pytest.mark.asyncio
async def test_webhook_must_be_on_this_machine():
    sandbox = Sandbox()

    for url in ("https://example.com/hook", "http://10.0.0.1/", "file:///etc/passwd"):
        with pytest.raises(ConfigurationError):
            sandbox.add_webhook(url)
    with pytest.raises(NotOpenError):
        await sandbox.deliver_webhooks()
