"""Both tutorials, followed to their end."""

import json

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import ServerError
from tests.docs.blocks import page_names


SOURCE = page_names("docs/tutorial/source.md")
DESTINATION = page_names("docs/tutorial/destination.md")


@pytest.mark.asyncio
async def test_source_finds_shares_and_delivers(reader):
    reader.use_key_of("source")
    sandbox = reader.sandbox
    wanted = sandbox.add_inquiry(status="completed").id
    sandbox.add_inquiry(status="pending")
    ids = await SOURCE["completed"]()
    assert ids == [wanted]
    code = await SOURCE["share"](sandbox.destination.id, *ids)
    message = json.loads(SOURCE["message"](code))
    assert message["scope"] == f"inquiry.read:{wanted}"
    assert message["code"] == code.reveal()


@pytest.mark.asyncio
async def test_destination_reads_with_the_code_in_the_message(reader):
    inquiry = reader.sandbox.add_inquiry(status="approved")
    code = await reader.ask_partner(Scope.read(inquiry.id))
    reader.use_key_of("destination")
    found = await DESTINATION["read_once"](code.reveal())
    assert found == {inquiry.id: "approved"}


@pytest.mark.asyncio
async def test_destination_requests_codes_while_it_watches(reader):
    inquiry = reader.sandbox.add_inquiry()
    reader.use_key_of("destination")
    watching = DESTINATION["watch"](reader.ask_partner, inquiry.id)
    seen = [(await anext(watching)).id for _ in range(3)]
    await watching.aclose()
    assert seen == [inquiry.id] * 3
    assert reader.sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_errors_are_handled_as_in_the_tutorial(reader):
    inquiry, other = reader.sandbox.add_inquiry(), reader.sandbox.add_inquiry()
    reader.use_key_of("destination")
    careful, beyond = DESTINATION["careful"], DESTINATION["beyond"]
    async with PersonaClient.from_env(insecure_local=True) as client:
        async with ScopedTokenManager(client) as manager:
            session = manager.session(Scope.read(inquiry.id))
            assert "there is no code" in await careful(session, inquiry.id)
            assert await beyond(session, other.id) == f"inquiry.read:{other.id}"

        async def refuse(_scope):
            return None

        async with ScopedTokenManager(client, codes=refuse) as manager:
            session = manager.session(Scope.read(inquiry.id))
            assert "does not share" in await careful(session, inquiry.id)
        async with ScopedTokenManager(client, codes=reader.ask_partner) as manager:
            session = manager.session(Scope.read(inquiry.id))
            assert await careful(session, inquiry.id) == "completed"
            assert await beyond(session, inquiry.id) == "covered"

    class Failing:
        """A session whose service is down."""

        @property
        def inquiries(self):
            raise ServerError("the service failed", status=503)

    assert (await careful(Failing(), inquiry.id)).startswith("answered: ")
