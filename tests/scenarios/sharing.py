"""Common steps of scenarios with Connect."""

from persona_share.webhooks import EventName


REDEEM = "POST /connect/share-tokens/{share-token-id}/redeem"
RETRIEVE = "GET /connect/share-tokens/{share-token-id}"


async def connected(scenario):
    """Return an active connection from the source to the destination."""
    made = await scenario.source.connections.create(
        destination_organization_id=scenario.sandbox.destination.id
    )
    scenario.sandbox.accept_connection(made.id)
    return await scenario.source.connections.retrieve(made.id)


async def offered(scenario, source_id=None, **options):
    """Return a share token of an object, by default of an inquiry."""
    connection = await connected(scenario)
    return await scenario.source.share_tokens.create(
        connection_id=connection.id,
        source_id=source_id or scenario.sandbox.add_inquiry().id,
        **options,
    )


async def waited(scenario, token, seconds=600, step=1.0):
    """Wait as the destination while the shared clock advances."""
    waiting = scenario.destination.share_tokens.wait(token.id, timeout=seconds)
    return await scenario.advance_until_done(waiting, step=step)


async def redemptions(scenario, token):
    """Return the number of redemption events that the source received."""
    events = scenario.source.events.list(object_id=[token.id])
    names = [each.name async for each in events]
    return names.count(EventName.OUTBOUND_REDEEMED)
