"""Destination: serve inquiries. Run it with python examples/web_aiohttp.py 8080."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.integrations.aiohttp import health_endpoint, session_of, setup
from persona_share.partner import PartnerCodeSource


@asynccontextmanager
async def sharing() -> AsyncIterator[ScopedTokenManager]:
    """Open everything; the application closes it when it ends."""
    async with (
        PartnerCodeSource.from_env() as codes,
        PersonaClient.from_env() as client,
        ScopedTokenManager(client, codes=codes) as manager,
    ):
        yield manager


async def inquiry(request: web.Request) -> web.Response:
    """Show what the partner shares of an inquiry."""
    session = session_of(request, "inquiry.read:{id}")
    found = await session.inquiries.retrieve(request.match_info["id"])
    return web.json_response({"id": found.id, "status": found.status})


app = web.Application()
setup(app, sharing)
app.router.add_get("/inquiries/{id}", inquiry)
app.router.add_get("/health", health_endpoint)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
