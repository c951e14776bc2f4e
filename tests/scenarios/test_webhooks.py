"""Webhooks from an event to the handler of an application, over a real socket."""

from datetime import timedelta

import attrs
import pytest
import pytest_asyncio
from aiohttp import web

from persona_share.errors import InvalidArgumentError, SignatureError
from persona_share.model.inquiry import Inquiry
from persona_share.model.share_token import ShareToken
from persona_share.stores import MemoryStore
from persona_share.testing.clock import FakeClock, fake_runtime
from persona_share.webhooks import EventName, ReplayGuard, Verifier, recover
from tests.scenarios.sharing import offered, waited


@attrs.define
class Application:
    """A user's receiver: it verifies, acts once on each event, and may fail."""

    verifier: Verifier | None = None
    url: str = ""
    failures: int = 0
    handled: list = attrs.Factory(list)
    repeated: list = attrs.Factory(list)
    secrets: list = attrs.Factory(list)
    refused: list = attrs.Factory(list)

    async def handle(self, request):
        header = request.headers.get("Persona-Signature")
        body = await request.read()
        try:
            async with self.verifier.handling(body, header) as delivery:
                self.secrets.append(delivery.signature.secret)
                if not delivery.is_new:
                    self.repeated.append(delivery.event)
                elif self.failures:
                    self.failures -= 1
                    raise web.HTTPServiceUnavailable
                else:
                    self.handled.append(delivery.event)
        except SignatureError as error:
            self.refused.append(error.reason)
            return web.Response(status=400)
        return web.Response()

    def trusts(self, journey, *secrets):
        runtime = fake_runtime(journey.clock)
        guard = ReplayGuard(MemoryStore(runtime=runtime), runtime=runtime)
        self.verifier = Verifier(secrets, guard=guard, clock=journey.clock)


@pytest_asyncio.fixture
async def application():
    made = Application()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/hook"
    yield made
    await runner.cleanup()


@pytest.mark.asyncio
@pytest.mark.parametrize("casing", ["kebab", "snake", "camel"])
async def test_change_of_an_inquiry_arrives_as_a_typed_event(
    journey, application, casing
):
    webhook = journey.box.add_webhook(application.url, inflection=casing)
    application.trusts(journey, webhook.secret)
    inquiry = journey.box.add_inquiry(reference_id="r-1")

    await journey.source.inquiries.approve(inquiry.id)
    await journey.box.deliver_webhooks()

    (event,) = application.handled
    assert event.name == "inquiry.approved"
    assert event.created_at == journey.clock.wall()
    assert isinstance(event.subject, Inquiry)
    assert (event.subject.id, event.subject.reference_id) == (inquiry.id, "r-1")
    assert event.subject.fields["name-first"]["type"] == "string"


@pytest.mark.asyncio
async def test_both_sides_get_webhooks_of_a_share_token(journey, application):
    webhooks = [
        journey.box.add_webhook(application.url, organization=each)
        for each in (journey.box.source, journey.box.destination)
    ]
    application.trusts(journey, *(each.secret for each in webhooks))
    token = await offered(journey)
    await journey.destination.share_tokens.redeem(token.id)
    await waited(journey, token)
    await journey.box.deliver_webhooks()

    assert {each.name for each in application.handled} == set(EventName)
    assert all(isinstance(each.subject, ShareToken) for each in application.handled)
    assert {each.subject.id for each in application.handled} == {token.id}
    assert all(each.is_sharing for each in application.handled)


@pytest.mark.asyncio
async def test_f144_repeated_event_is_handled_once(journey, application):
    webhook = journey.box.add_webhook(application.url)
    application.trusts(journey, webhook.secret)
    event = journey.box.add_event(object=journey.box.add_inquiry().id).id
    await journey.box.deliver_webhooks()
    for _ in range(2):
        journey.box.resend_event(event)
        await journey.box.deliver_webhooks()

    assert [each.id for each in application.handled] == [event]
    assert [each.id for each in application.repeated] == [event, event]


@pytest.mark.asyncio
async def test_event_is_retried_until_it_is_handled(journey, application):
    webhook = journey.box.add_webhook(application.url)
    application.trusts(journey, webhook.secret)
    application.failures = 2
    event = journey.box.add_event(object=journey.box.add_inquiry().id).id
    await journey.box.deliver_webhooks()
    for seconds in (3, 64):
        assert application.handled == []
        journey.clock.advance(seconds)
        await journey.box.deliver_webhooks()

    assert [each.id for each in application.handled] == [event]
    assert [each.status for each in webhook.attempts] == [503, 503, 200]


@pytest.mark.asyncio
async def test_f142_a_secret_is_rotated_without_losing_a_delivery(journey, application):
    box = journey.box
    webhook = box.add_webhook(application.url)
    old = webhook.secret
    application.trusts(journey, old)
    new = box.rotate_webhook_secret(webhook.id, overlap=3600)
    box.add_event(object=box.add_inquiry().id)
    await box.deliver_webhooks()
    application.trusts(journey, new, old)
    box.add_event(object=box.add_inquiry().id)
    await box.deliver_webhooks()
    journey.clock.advance(3600)
    box.add_event(object=box.add_inquiry().id)
    await box.deliver_webhooks()

    assert len(application.handled) == 3
    assert application.secrets[1:] == [0, 0]
    assert application.refused == []


@pytest.mark.asyncio
async def test_f141_a_delivery_of_another_secret_or_time_is_refused(
    journey, application
):
    webhook = journey.box.add_webhook(application.url)
    application.trusts(journey, "wbhsec_of_somebody_else")
    journey.box.add_event(object=journey.box.add_inquiry().id)
    await journey.box.deliver_webhooks()
    ahead = FakeClock(journey.clock.wall() + timedelta(seconds=301))
    application.verifier = Verifier(webhook.secret, clock=ahead)
    journey.box.add_event(object=journey.box.add_inquiry().id)
    await journey.box.deliver_webhooks()

    assert application.refused == ["mismatch", "too_old"]
    assert application.handled == []


@pytest.mark.asyncio
async def test_recover_handles_each_missed_event_once(journey, application):
    webhook = journey.box.add_webhook(application.url)
    application.trusts(journey, webhook.secret)
    runtime = fake_runtime(journey.clock)
    guard = ReplayGuard(MemoryStore(runtime=runtime), runtime=runtime)
    application.verifier = Verifier(webhook.secret, guard=guard, clock=journey.clock)
    start = journey.clock.wall()
    delivered = journey.box.add_event(object=journey.box.add_inquiry().id).id
    await journey.box.deliver_webhooks()
    application.failures = 100
    missed = [
        journey.box.add_event(object=journey.box.add_inquiry().id).id for _ in range(2)
    ]
    for _ in range(8):
        await journey.box.deliver_webhooks()
        journey.box.advance(200_000)
    seen = []

    async def handler(event):
        if event.id == missed[1] and event.id not in seen:
            seen.append(event.id)
            raise ValueError(event.id)
        seen.append(event.id)

    first = await recover(journey.source, handler, since=start, guard=guard)
    second = await recover(journey.source, handler, since=start, guard=guard)

    assert first.handled == (missed[0],)
    assert set(first.failed) == {missed[1]}
    assert second.handled == (missed[1],)
    assert second.known == (missed[0],)
    assert delivered not in seen
    assert seen.count(missed[0]) == 1


@pytest.mark.asyncio
async def test_recover_refuses_a_time_without_a_zone(journey):
    runtime = fake_runtime(journey.clock)
    guard = ReplayGuard(MemoryStore(runtime=runtime), runtime=runtime)
    naive = journey.clock.wall().replace(tzinfo=None)

    with pytest.raises(InvalidArgumentError, match="time zone"):
        await recover(journey.source, print, since=naive, guard=guard)
