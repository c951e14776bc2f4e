"""Telemetry contains no secrets and no object ids."""

import pytest

from persona_share import Scope


@pytest.mark.asyncio
async def test_no_secret_and_no_id_of_an_object_is_exported(
    harness, recorder, instrumented
):
    inquiry = harness.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    secrets = []

    async def ask_partner(asked):
        async with harness.client(harness.sandbox.source) as source:
            code = await source.oauth.authorize(
                client_id=harness.sandbox.destination.id, scope=asked
            )
        secrets.append(code.reveal())
        return code

    async with instrumented(codes=ask_partner) as each:
        session = each.manager.session(scope)
        await session.inquiries.retrieve(inquiry.id)
        secrets.append((await each.manager.token(scope)).reveal())
        harness.sandbox.faults.answer("GET /inquiries/{inquiry-id}", 503, times=9)
        with pytest.raises(Exception, match=r"503|failed"):
            await harness.advance_until_done(session.inquiries.retrieve(inquiry.id))
    canaries = [
        *secrets,
        inquiry.id,
        harness.sandbox.destination.api_key,
        harness.sandbox.source.id,
    ]
    exported = "".join(each.to_json() for each in recorder.spans())
    exported += recorder.reader.get_metrics_data().to_json()
    assert len(secrets) == 2
    assert len(recorder.spans()) >= 4
    for canary in canaries:
        assert canary not in exported
