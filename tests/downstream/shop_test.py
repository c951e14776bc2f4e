"""The tests of a downstream project, which use only the installed package."""

import logging

import pytest
from shop import customers

from persona_share import PersonaClient, Scope, ScopedTokenManager


def client_of(sandbox, side):
    return PersonaClient(side.api_key, base_url=sandbox.url, insecure_local=True)


@pytest.mark.asyncio
async def test_customers_are_read_and_an_hour_later_again(
    persona_sandbox, persona_clock, persona_canary
):
    sandbox = persona_sandbox
    ids = [sandbox.add_inquiry().id for _ in range(3)]
    async with client_of(sandbox, sandbox.source) as source:

        async def ask_partner(scope):
            return await source.oauth.authorize(
                client_id=sandbox.destination.id, scope=scope
            )

        async with client_of(sandbox, sandbox.destination) as client:
            assert set(await customers(client, ask_partner, *ids)) == set(ids)
            async with ScopedTokenManager(client, codes=ask_partner) as manager:
                first = await manager.token(Scope.read(*ids))
                persona_clock.advance(3_600)
                assert await manager.token(Scope.read(*ids)) != first


def test_leak_fails(persona_canary):
    secret = persona_canary.plant("my own api key")
    logging.getLogger("shop").info("asking with %s", secret)
