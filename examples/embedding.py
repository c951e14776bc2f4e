"""Destination: add scoped tokens to another HTTP client (httpx).

python examples/embedding.py inq_…
"""

import asyncio
import sys

import httpx

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.integrations.httpx import ScopedAuth
from persona_share.partner import PartnerCodeSource


async def main(inquiry_id: str) -> None:
    """Print an inquiry as it came, by a client that knows nothing of tokens."""
    async with (
        PartnerCodeSource.from_env() as codes,
        PersonaClient.from_env() as client,
        ScopedTokenManager(client, codes=codes) as manager,
        httpx.AsyncClient(auth=ScopedAuth(manager, Scope.read(inquiry_id))) as foreign,
    ):
        url = f"{client.context.origin}/inquiries/{inquiry_id}"
        print((await foreign.get(url)).raise_for_status().text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
