"""An endpoint as an aiohttp.web application, to run alone or below another one."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from persona_share.partner.endpoint import (
    MAX_BODY,
    BodyTooLargeError,
    Endpoint,
    respond,
)


def aiohttp_application(endpoint: Endpoint) -> web.Application:
    """Return an application that opens what the endpoint needs while it runs.

    Use ``app.add_subapp("/partner", …)``, or run it as it is.
    """

    async def handle(request: web.Request) -> web.Response:
        """Respond to one request."""

        async def read() -> bytes:
            body = bytearray()
            async for piece in request.content.iter_chunked(MAX_BODY):
                body += piece
                if len(body) > MAX_BODY:
                    raise BodyTooLargeError
            return bytes(body)

        content_types = request.headers.getall("Content-Type", [])
        content_type = content_types[0] if len(content_types) == 1 else None
        reply = await respond(
            endpoint, request.method, request.path, content_type, read
        )
        body = None if reply.body is None else orjson.dumps(reply.body)
        return web.Response(status=reply.status, body=body, headers=reply.headers())

    async def opened(_: web.Application) -> AsyncIterator[None]:
        """Keep the endpoint open while the application runs."""
        async with endpoint.lifespan():
            yield

    app = web.Application()
    app.cleanup_ctx.append(opened)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application until the block ends; yield its address.

    Port 0 means a free one.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on, for a service whose address is signed."""
    with socket.create_server((host, 0)) as found:
        port: int = found.getsockname()[1]
    return port
