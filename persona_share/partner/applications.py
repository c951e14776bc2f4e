"""An endpoint as an application: for any ASGI server, or for aiohttp.web."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from persona_share._protocol.urls import is_loopback
from persona_share.partner.endpoint import (
    MAX_BODY,
    BodyTooLargeError,
    Endpoint,
    Reply,
    describe,
    respond,
)


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class ClientDisconnectedError(Exception):
    """The client disconnected before its request was complete."""


def asgi_application(endpoint: Endpoint) -> Application:
    """Return an ASGI application; its lifespan opens and closes the endpoint."""

    async def application(
        scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await _lifespan(endpoint, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _http(endpoint, scope, receive, send)

    return application


async def _http(
    endpoint: Endpoint, scope: MutableMapping[str, Any], receive: Receive, send: Send
) -> None:
    async def read() -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            body += message.get("body", b"")
            if len(body) > MAX_BODY:
                raise BodyTooLargeError
            if not message.get("more_body"):
                return bytes(body)

    content_types = [
        value.decode("latin-1")
        for name, value in scope["headers"]
        if name.lower() == b"content-type"
    ]
    content_type = content_types[0] if len(content_types) == 1 else None
    try:
        reply = await respond(
            endpoint, scope["method"], scope["path"], content_type, read
        )
    except ClientDisconnectedError:
        return
    await _send(reply, send)


async def _send(reply: Reply, send: Send) -> None:
    body = b"" if reply.body is None else orjson.dumps(reply.body)
    headers = [(k.lower().encode(), v.encode()) for k, v in reply.headers().items()]
    if reply.body is not None:
        headers.append((b"content-length", str(len(body)).encode()))
    await send(
        {"type": "http.response.start", "status": reply.status, "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})


async def _lifespan(endpoint: Endpoint, receive: Receive, send: Send) -> None:
    async with AsyncExitStack() as stack:
        await receive()
        try:
            await stack.enter_async_context(endpoint.lifespan())
        except Exception as error:  # noqa: BLE001 — the server reports it and stops
            message = describe(error)
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})


# ── aiohttp.web ───────────────────────────────────────────────────────────────


def aiohttp_application(endpoint: Endpoint) -> web.Application:
    """Return an application that opens and closes the endpoint.

    Mount it with ``app.add_subapp("/partner", …)``, or run it on its own.
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
    """Serve an application until the block ends, and yield its address.

    Port 0 means any free port.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def warning_about_port(url: str, address: str) -> str | None:
    """Return a warning if a loopback URL has another port than the service."""
    public, local = urlsplit(url), urlsplit(address)
    port = public.port or 80
    direct = public.scheme == "http" and is_loopback(public.hostname or "")
    if not direct or port == local.port:
        return None
    return (
        f"Warning: partners send requests to {url}, and this service listens on port "
        f"{local.port}. Pass --port {port}, or another --url, unless a proxy listens there."
    )


def free_port(host: str = "127.0.0.1") -> int:
    """Return a free port, for a service that has to know its address in advance."""
    with socket.create_server((host, 0)) as found:
        port: int = found.getsockname()[1]
    return port
