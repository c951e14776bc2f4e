"""The destination organization, as a batch: one line of JSON for each inquiry.

export PERSONA_API_KEY=… PARTNER_URL=http://127.0.0.1:8081 PARTNER_SECRET=…
python examples/fetch_many.py < ids.txt > inquiries.jsonl
"""

import asyncio
import json
import sys

import aiohttp

from asking import Partner
from persona_share import PersonaClient, PersonaError, Scope, ScopedTokenManager


AT_ONCE = 16


async def fetch(ids: list[str]) -> int:
    """Print what is shared of these inquiries; answer how many failed."""
    failed = 0
    places = asyncio.Semaphore(AT_ONCE)
    async with (
        aiohttp.ClientSession() as http,
        # insecure_local allows plain http to this machine alone, for a sandbox.
        PersonaClient.from_env(insecure_local=True) as client,
        ScopedTokenManager(client, codes=Partner(http)) as manager,
    ):
        session = manager.session(Scope.read(*ids))  # 256 ids at the most

        async def one(each: str) -> None:
            nonlocal failed
            async with places:
                try:
                    found = await session.inquiries.retrieve(each)
                except PersonaError as error:
                    failed += 1
                    print(error, file=sys.stderr)
                else:
                    print(json.dumps({"id": found.id, "status": found.status}))

        await asyncio.gather(*map(one, ids))
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(fetch(sys.stdin.read().split())) else 0)
