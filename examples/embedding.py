"""Another SDK's client, here httpx, that borrows scoped tokens for its own requests.

How it is started:

    export PERSONA_API_KEY=… PARTNER_URL=http://127.0.0.1:8081 PARTNER_SECRET=…
    python examples/embedding.py inq_…
"""

import asyncio
import sys

import aiohttp
import httpx

from asking import Partner
from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.integrations.httpx import ScopedAuth


async def main(inquiry_id: str) -> None:
    """Print an inquiry as it came, by a client that knows nothing of tokens."""
    async with (
        aiohttp.ClientSession() as http,
        # insecure_local allows plain http to this machine alone, for a sandbox.
        PersonaClient.from_env(insecure_local=True) as client,
        ScopedTokenManager(client, codes=Partner(http)) as manager,
    ):
        auth = ScopedAuth(manager, Scope.read(inquiry_id))
        async with httpx.AsyncClient(auth=auth) as foreign:
            url = f"{client.context.origin}/inquiries/{inquiry_id}"
            answer = await foreign.get(url)
            print(answer.raise_for_status().text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
