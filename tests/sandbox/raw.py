"""A raw HTTP client, which shares no code with the library."""

from collections.abc import Mapping

import attrs
import orjson
from aiohttp import ClientSession

from persona_share.sandbox import Sandbox


@attrs.frozen
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self):
        return orjson.loads(self.body)

    @property
    def error(self):
        (error,) = self.json["errors"]
        return error


@attrs.frozen
class RawClient:
    session: ClientSession
    sandbox: Sandbox

    async def send(self, method, path, bearer=None, *, headers=None, **options):
        sent = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        sent |= headers or {}
        url = path if path.startswith("http") else self.sandbox.url + path
        async with self.session.request(
            method, url, headers=sent, **options
        ) as response:
            return Response(response.status, response.headers, await response.read())

    async def get(self, path, bearer=None, **options):
        """Send a GET request, by default as the source organization."""
        return await self.send(
            "GET", path, bearer or self.sandbox.source.api_key, **options
        )

    async def post(self, path, bearer=None, **options):
        """Send a POST request, by default as the source organization."""
        return await self.send(
            "POST", path, bearer or self.sandbox.source.api_key, **options
        )

    async def patch(self, path, bearer=None, **options):
        """Send a PATCH request, by default as the source organization."""
        return await self.send(
            "PATCH", path, bearer or self.sandbox.source.api_key, **options
        )

    async def delete(self, path, bearer=None, **options):
        """Send a DELETE request, by default as the source organization."""
        return await self.send(
            "DELETE", path, bearer or self.sandbox.source.api_key, **options
        )

    async def authorize(self, scope, *, bearer=None, partner=None, **options):
        form = {
            "client-id": partner or self.sandbox.destination.id,
            "response-type": "code",
            "scope": scope,
        }
        bearer = bearer or self.sandbox.source.api_key
        return await self.send("POST", "/oauth/authorize", bearer, data=form, **options)

    async def code(self, scope):
        return (await self.authorize(scope)).json["code"]

    async def exchange(self, code, *, bearer=None, key=None, headers=None, **options):
        headers = (headers or {}) | ({} if key is None else {"Idempotency-Key": key})
        form = {"code": code, "grant-type": "authorization_code"}
        bearer = bearer or self.sandbox.destination.api_key
        return await self.send(
            "POST", "/oauth/token", bearer, data=form, headers=headers, **options
        )

    async def token(self, scope):
        return (await self.exchange(await self.code(scope))).json["access-token"]


def attributes(response):
    """Return the attributes of the object in a response."""
    return response.json["data"]["attributes"]


def body(**attributes):
    """Return a JSON body with these attributes."""
    return {"data": {"attributes": _kebab(attributes)}}


def meta(**given):
    """Return a JSON body with this meta."""
    return {"meta": _kebab(given)}


def _kebab(given):
    return {name.replace("_", "-"): value for name, value in given.items()}
