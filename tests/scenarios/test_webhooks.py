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

    def trusts(self, scenario, *secrets):
        runtime = fake_runtime(scenario.clock)
        guard = ReplayGuard(MemoryStore(runtime=runtime), runtime=runtime)
        self.verifier = Verifier(secrets, guard=guard, clock=scenario.clock)


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
    scenario, application, casing
):
    webhook = scenario.sandbox.add_webhook(application.url, inflection=casing)
    application.trusts(scenario, webhook.secret)
    inquiry = scenario.sandbox.add_inquiry(reference_id="r-1")

    await scenario.source.inquiries.approve(inquiry.id)
    await scenario.sandbox.deliver_webhooks()

    (event,) = application.handled
    assert event.name == "inquiry.approved"
    assert event.created_at == scenario.clock.wall()
    assert isinstance(event.subject, Inquiry)
    assert (event.subject.id, event.subject.reference_id) == (inquiry.id, "r-1")
    assert event.subject.fields["name-first"]["type"] == "string"


@pytest.mark.asyncio
async def test_both_sides_get_webhooks_of_a_share_token(scenario, application):
    webhooks = [
        scenario.sandbox.add_webhook(application.url, organization=each)
        for each in (scenario.sandbox.source, scenario.sandbox.destination)
    ]
    application.trusts(scenario, *(each.secret for each in webhooks))
    token = await offered(scenario)
    await scenario.destination.share_tokens.redeem(token.id)
    await waited(scenario, token)
    await scenario.sandbox.deliver_webhooks()

    assert {each.name for each in application.handled} == set(EventName)
    assert all(isinstance(each.subject, ShareToken) for each in application.handled)
    assert {each.subject.id for each in application.handled} == {token.id}
    assert all(each.is_sharing for each in application.handled)


@pytest.mark.asyncio
async def test_f144_repeated_event_is_handled_once(scenario, application):
    webhook = scenario.sandbox.add_webhook(application.url)
    application.trusts(scenario, webhook.secret)
    event = scenario.sandbox.add_event(object=scenario.sandbox.add_inquiry().id).id
    await scenario.sandbox.deliver_webhooks()
    for _ in range(2):
        scenario.sandbox.resend_event(event)
        await scenario.sandbox.deliver_webhooks()

    assert [each.id for each in application.handled] == [event]
    assert [each.id for each in application.repeated] == [event, event]


@pytest.mark.asyncio
async def test_event_is_retried_until_it_is_handled(scenario, application):
    webhook = scenario.sandbox.add_webhook(application.url)
    application.trusts(scenario, webhook.secret)
    application.failures = 2
    event = scenario.sandbox.add_event(object=scenario.sandbox.add_inquiry().id).id
    await scenario.sandbox.deliver_webhooks()
    for seconds in (3, 64):
        assert application.handled == []
        scenario.clock.advance(seconds)
        await scenario.sandbox.deliver_webhooks()

    assert [each.id for each in application.handled] == [event]
    assert [each.status for each in webhook.attempts] == [503, 503, 200]


@pytest.mark.asyncio
async def test_f142_secret_is_rotated_without_losing_a_delivery(scenario, application):
    sandbox = scenario.sandbox
    webhook = sandbox.add_webhook(application.url)
    old = webhook.secret
    application.trusts(scenario, old)
    new = sandbox.rotate_webhook_secret(webhook.id, overlap=3600)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()
    application.trusts(scenario, new, old)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()
    scenario.clock.advance(3600)
    sandbox.add_event(object=sandbox.add_inquiry().id)
    await sandbox.deliver_webhooks()

    assert len(application.handled) == 3
    assert application.secrets[1:] == [0, 0]
    assert application.refused == []


@pytest.mark.asyncio
async def test_f141_delivery_of_another_secret_or_time_is_refused(
    scenario, application
):
    webhook = scenario.sandbox.add_webhook(application.url)
    application.trusts(scenario, "wbhsec_of_somebody_else")
    scenario.sandbox.add_event(object=scenario.sandbox.add_inquiry().id)
    await scenario.sandbox.deliver_webhooks()
    ahead = FakeClock(scenario.clock.wall() + timedelta(seconds=301))
    application.verifier = Verifier(webhook.secret, clock=ahead)
    scenario.sandbox.add_event(object=scenario.sandbox.add_inquiry().id)
    await scenario.sandbox.deliver_webhooks()

    assert application.refused == ["mismatch", "too_old"]
    assert application.handled == []


@pytest.mark.asyncio
async def test_recover_handles_each_missed_event_once(scenario, application):
    webhook = scenario.sandbox.add_webhook(application.url)
    application.trusts(scenario, webhook.secret)
    runtime = fake_runtime(scenario.clock)
    guard = ReplayGuard(MemoryStore(runtime=runtime), runtime=runtime)
    application.verifier = Verifier(webhook.secret, guard=guard, clock=scenario.clock)
    start = scenario.clock.wall()
    delivered = scenario.sandbox.add_event(object=scenario.sandbox.add_inquiry().id).id
    await scenario.sandbox.deliver_webhooks()
    application.failures = 100
    missed = [
        scenario.sandbox.add_event(object=scenario.sandbox.add_inquiry().id).id
        for _ in range(2)
    ]
    for _ in range(8):
        await scenario.sandbox.deliver_webhooks()
        scenario.sandbox.advance(200_000)
    seen = []

    async def handler(event):
        if event.id == missed[1] and event.id not in seen:
            seen.append(event.id)
            raise ValueError(event.id)
        seen.append(event.id)

    first = await recover(scenario.source, handler, since=start, guard=guard)
    second = await recover(scenario.source, handler, since=start, guard=guard)

    assert first.handled == (missed[0],)
    assert set(first.failed) == {missed[1]}
    assert second.handled == (missed[1],)
    assert second.known == (missed[0],)
    assert delivered not in seen
    assert seen.count(missed[0]) == 1


@pytest.mark.asyncio
async def test_recover_refuses_a_time_without_a_zone(scenario):
    runtime = fake_runtime(scenario.clock)
    guard = ReplayGuard(MemoryStore(runtime=runtime), runtime=runtime)
    naive = scenario.clock.wall().replace(tzinfo=None)

    with pytest.raises(InvalidArgumentError, match="time zone"):
        await recover(scenario.source, print, since=naive, guard=guard)
