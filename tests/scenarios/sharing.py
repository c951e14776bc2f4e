"""Common steps of scenarios with Connect."""

from persona_share.webhooks import EventName


REDEEM = "POST /connect/share-tokens/{share-token-id}/redeem"
RETRIEVE = "GET /connect/share-tokens/{share-token-id}"


async def connected(journey):
    """Return an active connection from the source to the destination."""
    made = await journey.source.connections.create(
        destination_organization_id=journey.box.destination.id
    )
    journey.box.accept_connection(made.id)
    return await journey.source.connections.retrieve(made.id)


async def offered(journey, source_id=None, **options):
    """Return a share token of an object, by default of an inquiry."""
    connection = await connected(journey)
    return await journey.source.share_tokens.create(
        connection_id=connection.id,
        source_id=source_id or journey.box.add_inquiry().id,
        **options,
    )


async def waited(journey, token, seconds=600, step=1.0):
    """Wait as the destination, while time passes for both sides."""
    waiting = journey.destination.share_tokens.wait(token.id, timeout=seconds)
    return await journey.until(waiting, step=step)


async def redemptions(journey, token):
    """Return how often the source got an event for a redeemed share token."""
    events = journey.source.events.list(object_id=[token.id])
    names = [each.name async for each in events]
    return names.count(EventName.OUTBOUND_REDEEMED)
