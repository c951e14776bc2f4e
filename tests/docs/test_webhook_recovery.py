"""The page about recovery and rotation does what it says, against the sandbox."""

import pytest

from persona_share.sandbox import Sandbox
from persona_share.webhooks import Verifier
from tests.docs.blocks import blocks_of, names_of


PAGE = "docs/howto/webhook-recovery.md"
RECOVER, ROTATE = blocks_of(PAGE)


@pytest.mark.asyncio
async def test_missed_events_are_recovered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with Sandbox() as sandbox:
        sandbox.add_webhook("http://127.0.0.1:9/")
        inquiry = sandbox.add_inquiry().id
        sandbox.add_event(object=inquiry)
        for _ in range(8):
            await sandbox.deliver_webhooks()
            sandbox.advance(200_000)
        names = names_of(RECOVER, PAGE, sandbox, sandbox.source)

        recovered = await names["recover_yesterday"]()

    assert recovered == 1


@pytest.mark.asyncio
async def test_rotated_webhook_has_two_secrets():
    async with Sandbox() as sandbox:
        webhook = sandbox.add_webhook("http://127.0.0.1:9/")
        names = names_of(ROTATE, PAGE, sandbox, sandbox.source)

        secrets = await names["rotate"](webhook.id)

    assert len({each.reveal() for each in secrets}) == 2
    assert isinstance(Verifier(secrets), Verifier)
