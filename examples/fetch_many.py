"""The destination organization, as a batch: one line of JSON for each inquiry.

How it is started:

    export PERSONA_API_KEY=… PARTNER_URL=http://127.0.0.1:8081 PARTNER_SECRET=…
    python examples/fetch_many.py < ids.txt > inquiries.jsonl
"""

import asyncio
import json
import sys

import aiohttp

from asking import Partner
from persona_share import PersonaClient, ScopedTokenManager
from persona_share.batch import Failed


async def fetch(ids: list[str]) -> int:
    """Print what is shared of these inquiries; answer how many failed."""
    failed = 0
    async with (
        aiohttp.ClientSession() as http,
        # insecure_local allows plain http to this machine alone, for a sandbox.
        PersonaClient.from_env(insecure_local=True) as client,
        ScopedTokenManager(client, codes=Partner(http)) as manager,
    ):
        async for each in manager.fetch(ids):
            if isinstance(each, Failed):
                failed += 1
                print(f"{each.id}: {each.error}", file=sys.stderr)
            else:
                status = each.resource.get("status")
                print(json.dumps({"id": each.id, "status": status}))
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(fetch(sys.stdin.read().split())) else 0)
