"""Steps that tests of share tokens have in common."""

from tests.sandbox.raw import body


TOKENS = "/connect/share-tokens"


async def connect(raw, partner=None):
    """Answer an active connection from the source to the destination."""
    box = raw.box
    given = body(destination_organization_id=partner or box.destination.id)
    answer = await raw.post("/connect/connections", json=given)
    connection = answer.json["data"]["id"]
    box.accept_connection(connection)
    return connection


async def share(raw, source, connection=None, **more):
    """Make a share token; answer the answer."""
    connection = connection or await connect(raw)
    given = body(connection_id=connection, source_id=source, **more)
    return await raw.post(TOKENS, json=given)


async def shared(raw, source, connection=None, **more):
    """Make a share token; answer its id."""
    answer = await share(raw, source, connection, **more)
    return answer.json["data"]["id"]


async def redeem(raw, token, destination=None, *, bearer=None, **more):
    """Redeem a share token as the destination; answer the answer."""
    given = {} if destination is None else body(destination_id=destination)
    bearer = bearer or raw.box.destination.api_key
    return await raw.post(f"{TOKENS}/{token}/redeem", bearer, json=given | more)


async def seen(raw, token, bearer=None, query=""):
    """Answer a share token as the destination, or somebody else, sees it."""
    bearer = bearer or raw.box.destination.api_key
    answer = await raw.get(f"{TOKENS}/{token}{query}", bearer)
    return answer.json["data"]


async def destination_of(raw, token):
    """Answer the object that a share token was redeemed into."""
    named = (await seen(raw, token))["relationships"]["destination"]["data"]
    plural = {"inquiry": "inquiries", "txn": "transactions", "account": "accounts"}
    path = plural.get(named["type"], "verifications")
    answer = await raw.get(f"/{path}/{named['id']}", raw.box.destination.api_key)
    return answer.json["data"]
