"""How the destination of these examples asks its partner: over HTTP, with a password."""

import os
from datetime import datetime

import aiohttp

from persona_share import AuthorizationCode, Scope


class Partner:
    """A code source: an async callable that answers a new code for a scope."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def __call__(self, scope: Scope) -> AuthorizationCode:
        """Ask `partner.py` for a code."""
        async with self._http.post(
            f"{os.environ['PARTNER_URL']}/codes",
            json={"scope": str(scope)},
            headers={"Authorization": f"Bearer {os.environ['PARTNER_SECRET']}"},
        ) as answer:
            answer.raise_for_status()
            told = await answer.json()
        ends = told["expires_at"]
        return AuthorizationCode(
            told["code"],
            scope=scope,
            expires_at=datetime.fromisoformat(ends) if ends else None,
        )
