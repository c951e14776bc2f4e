"""A connection from its creation to deactivation and reactivation."""

import pytest

from persona_share.errors import ConflictError, NotFoundError, PermissionDeniedError
from persona_share.model.connection import ConnectionStatus


@pytest.mark.asyncio
async def test_connection_is_created_accepted_deactivated_and_reactivated(scenario):
    ours, theirs = scenario.source.connections, scenario.destination.connections
    partner = scenario.sandbox.destination.id

    made = await ours.create(destination_organization_id=partner)
    pending = await ours.find_active(partner)
    scenario.sandbox.accept_connection(made.id)
    active = await ours.find_active(partner)
    ended = await theirs.deactivate(made.id)
    gone = await ours.find_active(partner)
    again = await ours.reactivate(made.id)
    scenario.sandbox.accept_connection(made.id)
    seen = await theirs.retrieve(made.id)

    assert made.status is ConnectionStatus.PENDING
    assert (pending, gone) == (None, None)
    assert active.id == made.id
    assert ended.status is ConnectionStatus.INACTIVE
    assert again.status is ConnectionStatus.PENDING
    assert seen.status is ConnectionStatus.ACTIVE
    assert seen.source_organization_id == scenario.sandbox.source.id
    assert seen.destination_organization_id == partner


@pytest.mark.asyncio
async def test_call_is_refused_when_state_or_side_does_not_allow_it(scenario):
    made = await scenario.source.connections.create(
        destination_organization_id=scenario.sandbox.destination.id
    )

    with pytest.raises(ConflictError):
        await scenario.source.connections.reactivate(made.id)
    await scenario.source.connections.deactivate(made.id)
    with pytest.raises(ConflictError):
        await scenario.source.connections.deactivate(made.id)
    with pytest.raises(PermissionDeniedError):
        await scenario.destination.connections.reactivate(made.id)
    with pytest.raises(NotFoundError):
        await scenario.source.connections.retrieve("cxn_nowhere")


@pytest.mark.asyncio
async def test_both_sides_list_it_by_status_and_by_destination(scenario):
    partner = scenario.sandbox.destination.id
    ids = []
    for _ in range(3):
        made = await scenario.source.connections.create(
            destination_organization_id=partner
        )
        ids.append(made.id)
    scenario.sandbox.accept_connection(ids[0])

    active = [
        each.id
        async for each in scenario.destination.connections.list(
            status=ConnectionStatus.ACTIVE
        )
    ]
    every = [
        each.id
        async for each in scenario.source.connections.list(
            destination_organization_id=partner, page_size=1
        )
    ]
    none = await scenario.source.connections.list(
        destination_organization_id=scenario.sandbox.source.id
    )

    assert active == ids[:1]
    assert every == ids[::-1]
    assert len(none) == 0


@pytest.mark.asyncio
async def test_newest_active_connection_is_found_behind_many_others(scenario):
    ids = []
    for _ in range(12):
        made = await scenario.source.connections.create(
            destination_organization_id=scenario.sandbox.destination.id
        )
        ids.append(made.id)
    scenario.sandbox.accept_connection(ids[0])

    found = await scenario.source.connections.find_active(
        scenario.sandbox.destination.id
    )

    assert found.id == ids[0]
