"""A connection from its creation to deactivation and reactivation."""

import pytest

from persona_share.errors import ConflictError, NotFoundError, PermissionDeniedError
from persona_share.model.connection import ConnectionStatus


@pytest.mark.asyncio
async def test_connection_is_created_accepted_deactivated_and_reactivated(journey):
    ours, theirs = journey.source.connections, journey.destination.connections
    partner = journey.box.destination.id

    made = await ours.create(destination_organization_id=partner)
    pending = await ours.find_active(partner)
    journey.box.accept_connection(made.id)
    active = await ours.find_active(partner)
    ended = await theirs.deactivate(made.id)
    gone = await ours.find_active(partner)
    again = await ours.reactivate(made.id)
    journey.box.accept_connection(made.id)
    seen = await theirs.retrieve(made.id)

    assert made.status is ConnectionStatus.PENDING
    assert (pending, gone) == (None, None)
    assert active.id == made.id
    assert ended.status is ConnectionStatus.INACTIVE
    assert again.status is ConnectionStatus.PENDING
    assert seen.status is ConnectionStatus.ACTIVE
    assert seen.source_organization_id == journey.box.source.id
    assert seen.destination_organization_id == partner


@pytest.mark.asyncio
async def test_call_is_refused_when_state_or_side_does_not_allow_it(journey):
    made = await journey.source.connections.create(
        destination_organization_id=journey.box.destination.id
    )

    with pytest.raises(ConflictError):
        await journey.source.connections.reactivate(made.id)
    await journey.source.connections.deactivate(made.id)
    with pytest.raises(ConflictError):
        await journey.source.connections.deactivate(made.id)
    with pytest.raises(PermissionDeniedError):
        await journey.destination.connections.reactivate(made.id)
    with pytest.raises(NotFoundError):
        await journey.source.connections.retrieve("cxn_nowhere")


@pytest.mark.asyncio
async def test_both_sides_list_it_by_status_and_by_destination(journey):
    partner = journey.box.destination.id
    ids = []
    for _ in range(3):
        made = await journey.source.connections.create(
            destination_organization_id=partner
        )
        ids.append(made.id)
    journey.box.accept_connection(ids[0])

    active = [
        each.id
        async for each in journey.destination.connections.list(
            status=ConnectionStatus.ACTIVE
        )
    ]
    every = [
        each.id
        async for each in journey.source.connections.list(
            destination_organization_id=partner, page_size=1
        )
    ]
    none = await journey.source.connections.list(
        destination_organization_id=journey.box.source.id
    )

    assert active == ids[:1]
    assert every == ids[::-1]
    assert len(none) == 0


@pytest.mark.asyncio
async def test_the_newest_active_connection_is_found_behind_many_others(journey):
    ids = []
    for _ in range(12):
        made = await journey.source.connections.create(
            destination_organization_id=journey.box.destination.id
        )
        ids.append(made.id)
    journey.box.accept_connection(ids[0])

    found = await journey.source.connections.find_active(journey.box.destination.id)

    assert found.id == ids[0]
