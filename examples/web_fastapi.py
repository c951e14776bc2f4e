"""The destination organization: a FastAPI application with several workers.

    export PERSONA_API_KEY=… PARTNER_URL=http://127.0.0.1:8081 PARTNER_SECRET=…
    uvicorn --app-dir examples --workers 2 web_fastapi:app

All workers share one file of tokens, so that each scope costs one code, not one a worker.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiohttp
from fastapi import Depends, FastAPI

from asking import Partner
from persona_share import PersonaClient, ScopedSession, ScopedTokenManager
from persona_share.integrations.health import Health
from persona_share.integrations.starlette import Persona
from persona_share.stores import SQLiteStore


@asynccontextmanager
async def sharing() -> AsyncIterator[ScopedTokenManager]:
    """Open everything that sharing needs; the application closes it when it ends."""
    store = SQLiteStore(os.environ.get("TOKENS", "tokens.sqlite"))
    async with (
        aiohttp.ClientSession() as http,
        # insecure_local allows plain http to this machine alone, for a sandbox.
        PersonaClient.from_env(insecure_local=True) as client,
        ScopedTokenManager(client, codes=Partner(http), store=store) as manager,
    ):
        yield manager


persona = Persona(sharing)
app = FastAPI()
persona.install(app)

Reading = Annotated[
    ScopedSession, Depends(persona.session("inquiry.read:{inquiry_id}"))
]


@app.get("/inquiries/{inquiry_id}")
async def inquiry(inquiry_id: str, session: Reading) -> dict[str, Any]:
    """Show what the partner shares of an inquiry."""
    found = await session.inquiries.retrieve(inquiry_id)
    return {"id": found.id, "status": found.status}


@app.get("/health")
async def health(found: Annotated[Health, Depends(persona.health)]) -> dict[str, Any]:
    """Tell how the sharing does."""
    return found.as_dict()
