"""A static mock server returns the same example for every id."""

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import ConfigurationError, MalformedResponseError


EXAMPLE = {"data": {"type": "inquiry", "id": "inq_example", "attributes": {}}}
TOKEN = {
    "access_token": "token-of-the-mock",
    "token_type": "Bearer",
    "expires_in": 3599,
    "scope": "inquiry.read:inq_mine",
}
SCOPE = Scope.read("inq_mine")


@pytest_asyncio.fixture
async def mock():
    async def example(request):
        return web.json_response(TOKEN if request.path.endswith("token") else EXAMPLE)

    app = web.Application()
    app.router.add_route("*", "/api/v1/{path:.*}", example)
    async with TestServer(app) as server:
        yield {"base_url": str(server.make_url("/api/v1")), "insecure_local": True}


async def partner(scope):
    return "a-code-of-the-mock"


@pytest.mark.asyncio
async def test_example_is_returned_for_any_id_when_identity_is_not_checked(mock):
    async with (
        PersonaClient("key", check_identity=False, **mock) as client,
        ScopedTokenManager(client, codes=partner) as manager,
    ):
        own = await client.inquiries.retrieve("inq_mine")
        shared = await manager.session(SCOPE).inquiries.retrieve("inq_mine")
    assert (own.id, shared.id) == ("inq_example", "inq_example")


@pytest.mark.asyncio
async def test_example_of_another_id_is_refused_otherwise(mock):
    async with (
        PersonaClient("key", **mock) as client,
        ScopedTokenManager(client, codes=partner) as manager,
    ):
        for inquiries in (client.inquiries, manager.session(SCOPE).inquiries):
            with pytest.raises(MalformedResponseError, match="a different object"):
                await inquiries.retrieve("inq_mine")


def test_check_identity_must_be_a_bool():
    with pytest.raises(ConfigurationError, match="check_identity must be a bool"):
        PersonaClient("key", check_identity="no")
