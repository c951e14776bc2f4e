"""A separate project that reads objects shared by another organization."""

from collections.abc import Callable
from typing import Any

from persona_share import PersonaClient, Scope, ScopedTokenManager


async def customers(
    client: PersonaClient, ask_partner: Callable[[Scope], Any], *ids: str
) -> dict[str, str | None]:
    """Return the status of each inquiry."""
    async with ScopedTokenManager(client, codes=ask_partner) as manager:
        session = manager.session(Scope.read(*ids))
        found = [await session.inquiries.retrieve(each) for each in ids]
        return {inquiry.id: inquiry.status for inquiry in found}
