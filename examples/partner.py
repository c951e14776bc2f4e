"""The source organization: a service that makes codes for one partner.

    PERSONA_API_KEY=… PARTNER=org_… PARTNER_SECRET=… python examples/partner.py 8081

The partner posts the scope that it wants and gets a code, or learns that it may not.
"""

import hmac
import os
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from persona_share import PersonaClient, Scope
from persona_share.errors import InvalidScopeError


SOURCE = web.AppKey("source", PersonaClient)


async def opened(app: web.Application) -> AsyncIterator[None]:
    """Hold one client for as long as the service runs."""
    # insecure_local allows plain http to this machine alone, for a sandbox.
    async with PersonaClient.from_env(insecure_local=True) as source:
        app[SOURCE] = source
        yield


def may_have(scope: Scope) -> bool:
    """Decide what is shared; this is yours. Here: inquiries, to read."""
    return all(permission == "inquiry.read" for permission, _ in scope.pairs())


async def new_code(request: web.Request) -> web.Response:
    """Answer a code for the scope that the partner asks for."""
    given = request.headers.get("Authorization", "").encode()
    wanted = f"Bearer {os.environ['PARTNER_SECRET']}".encode()
    if not hmac.compare_digest(given, wanted):
        raise web.HTTPUnauthorized
    try:
        scope = Scope.parse((await request.json())["scope"])
    except (InvalidScopeError, KeyError, ValueError):
        raise web.HTTPBadRequest from None
    if not may_have(scope):
        raise web.HTTPForbidden
    code = await request.app[SOURCE].oauth.authorize(
        client_id=os.environ["PARTNER"], scope=scope
    )
    ends = code.expires_at.isoformat() if code.expires_at else None
    return web.json_response({"code": code.reveal(), "expires_at": ends})


def application() -> web.Application:
    """Make the service."""
    app = web.Application()
    app.cleanup_ctx.append(opened)
    app.router.add_post("/codes", new_code)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]))
