"""Helpers for the tests of share tokens."""

from tests.sandbox.raw import body


TOKENS = "/connect/share-tokens"


async def connect(raw, partner=None):
    """Return an active connection from the source to the destination."""
    sandbox = raw.sandbox
    given = body(destination_organization_id=partner or sandbox.destination.id)
    response = await raw.post("/connect/connections", json=given)
    connection = response.json["data"]["id"]
    sandbox.accept_connection(connection)
    return connection


async def share(raw, source, connection=None, **more):
    """Create a share token and return the response."""
    connection = connection or await connect(raw)
    given = body(connection_id=connection, source_id=source, **more)
    return await raw.post(TOKENS, json=given)


async def shared(raw, source, connection=None, **more):
    """Create a share token and return its ID."""
    response = await share(raw, source, connection, **more)
    return response.json["data"]["id"]


async def redeem(raw, token, destination=None, *, bearer=None, **more):
    """Redeem a share token as the destination and return the response."""
    given = {} if destination is None else body(destination_id=destination)
    bearer = bearer or raw.sandbox.destination.api_key
    return await raw.post(f"{TOKENS}/{token}/redeem", bearer, json=given | more)


async def seen(raw, token, bearer=None, query=""):
    """Return a share token as the destination or another caller sees it."""
    bearer = bearer or raw.sandbox.destination.api_key
    response = await raw.get(f"{TOKENS}/{token}{query}", bearer)
    return response.json["data"]


async def destination_of(raw, token):
    """Return the object that a share token was redeemed into."""
    named = (await seen(raw, token))["relationships"]["destination"]["data"]
    plural = {"inquiry": "inquiries", "txn": "transactions", "account": "accounts"}
    path = plural.get(named["type"], "verifications")
    response = await raw.get(f"/{path}/{named['id']}", raw.sandbox.destination.api_key)
    return response.json["data"]
