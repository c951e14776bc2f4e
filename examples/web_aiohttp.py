"""The destination organization again, as an aiohttp.web application.

How it is started:

    export PERSONA_API_KEY=… PARTNER_URL=http://127.0.0.1:8081 PARTNER_SECRET=…
    python examples/web_aiohttp.py 8080
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from asking import Partner
from persona_share import PersonaClient, ScopedTokenManager
from persona_share.integrations.aiohttp import health_for, session_of, setup


@asynccontextmanager
async def sharing() -> AsyncIterator[ScopedTokenManager]:
    """Open everything that sharing needs; the application closes it when it ends."""
    async with (
        aiohttp.ClientSession() as http,
        # insecure_local allows plain http to this machine alone, for a sandbox.
        PersonaClient.from_env(insecure_local=True) as client,
        ScopedTokenManager(client, codes=Partner(http)) as manager,
    ):
        yield manager


async def inquiry(request: web.Request) -> web.Response:
    """Show what the partner shares of an inquiry."""
    session = session_of(request, "inquiry.read:{inquiry_id}")
    found = await session.inquiries.retrieve(request.match_info["inquiry_id"])
    return web.json_response({"id": found.id, "status": found.status})


async def health(request: web.Request) -> web.Response:
    """Tell how the sharing does."""
    return web.json_response(health_for(request).as_dict())


def application() -> web.Application:
    """Make the application."""
    app = web.Application()
    setup(app, sharing)
    app.router.add_get("/inquiries/{inquiry_id}", inquiry)
    app.router.add_get("/health", health)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]))
