"""Telemetry contains no secrets and no object ids."""

import pytest

from persona_share import Scope


@pytest.mark.asyncio
async def test_g13_no_secret_and_no_id_of_an_object_is_exported(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    told = []

    async def ask_partner(asked):
        async with stage.client(stage.box.source) as source:
            code = await source.oauth.authorize(
                client_id=stage.box.destination.id, scope=asked
            )
        told.append(code.reveal())
        return code

    async with watched(codes=ask_partner) as each:
        session = each.manager.session(scope)
        await session.inquiries.retrieve(inquiry.id)
        told.append((await each.manager.token(scope)).reveal())
        stage.box.faults.answer("GET /inquiries/{inquiry-id}", 503, times=9)
        with pytest.raises(Exception, match=r"503|failed"):
            await stage.until(session.inquiries.retrieve(inquiry.id))
    canaries = [*told, inquiry.id, stage.box.destination.api_key, stage.box.source.id]
    exported = "".join(each.to_json() for each in watch.spans())
    exported += watch.reader.get_metrics_data().to_json()
    assert len(told) == 2
    assert len(watch.spans()) >= 4
    for canary in canaries:
        assert canary not in exported
