"""Destination: serve inquiries. Run it with uvicorn --app-dir examples web_fastapi:app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from persona_share import PersonaClient, ScopedSession, ScopedTokenManager
from persona_share.integrations.starlette import Persona
from persona_share.partner import PartnerCodeSource
from persona_share.stores import SQLiteStore


@asynccontextmanager
async def sharing() -> AsyncIterator[ScopedTokenManager]:
    """Open everything; the application closes it when it ends."""
    store = SQLiteStore("tokens.db")
    async with (
        PartnerCodeSource.from_env() as codes,
        PersonaClient.from_env() as client,
        ScopedTokenManager(client, codes=codes, store=store) as manager,
    ):
        yield manager


persona, app = Persona(sharing), FastAPI()
persona.install(app)
app.add_route("/health", persona.health_endpoint)
Shared = Annotated[ScopedSession, Depends(persona.session("inquiry.read:{inquiry_id}"))]


@app.get("/inquiries/{inquiry_id}")
async def inquiry(inquiry_id: str, session: Shared) -> dict[str, str | None]:
    """Show what the partner shares of an inquiry."""
    found = await session.inquiries.retrieve(inquiry_id)
    return {"id": found.id, "status": found.status}
