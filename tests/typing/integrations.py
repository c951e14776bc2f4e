"""Type checks of the integrations; this module is never run."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import assert_type

import httpx
from aiohttp import ClientSession, web
from starlette.requests import HTTPConnection, Request

from persona_share import PersonaClient, ScopedSession, ScopedTokenManager
from persona_share.integrations import aiohttp as ours
from persona_share.integrations.aiohttp_client import ScopedTokens
from persona_share.integrations.application import Lifespan
from persona_share.integrations.health import Health
from persona_share.integrations.httpx import ScopedAuth
from persona_share.integrations.otel import Telemetry
from persona_share.integrations.starlette import Persona, verified
from persona_share.webhooks import Delivery, Verifier


async def starlette_hands_out_what_it_says(lifespan: Lifespan) -> None:
    """A dependency returns the annotated type."""
    persona = Persona(lifespan)
    assert_type(await persona.manager(), ScopedTokenManager)
    assert_type(await persona.health(), Health)
    assert_type(
        persona.session("inquiry.read:{id}"),
        Callable[[HTTPConnection], Awaitable[ScopedSession]],
    )
    assert_type(verified(Verifier("x")), Callable[[Request], AsyncIterator[Delivery]])


async def aiohttp_knows_its_key(request: web.Request) -> None:
    """A typed key returns a manager."""
    assert_type(request.config_dict[ours.MANAGER], ScopedTokenManager)
    assert_type(ours.session_of(request, "inquiry.read:inq_1"), ScopedSession)
    async with ours.verified(request, Verifier("x")) as delivery:
        assert_type(delivery, Delivery)


def other_clients_take_our_parts(manager: ScopedTokenManager) -> None:
    """Nothing has to be cast where it is plugged in."""
    _ = ClientSession(middlewares=[ScopedTokens(manager, "inquiry.read:inq_1")])
    _ = httpx.AsyncClient(auth=ScopedAuth(manager, "inquiry.read:inq_1"))
    _ = PersonaClient("x", hooks=[Telemetry()])
