"""Destination: fetch any number of inquiries, and continue after an interruption.

python examples/fetch_many.py < ids.txt > inquiries.jsonl
"""

import asyncio
import json
import sys

from persona_share import Failed, PersonaClient, ScopedTokenManager
from persona_share.partner import PartnerCodeSource


async def main(ids: list[str]) -> int:
    """Print a line of JSON for each inquiry; return how many failed."""
    failed = 0
    async with (
        PartnerCodeSource.from_env() as codes,
        PersonaClient.from_env() as client,
        ScopedTokenManager(client, codes=codes) as manager,
        manager.fetch(ids, checkpoint="fetched.db") as batch,
    ):
        async for each in batch:
            if isinstance(each, Failed):
                failed += 1
                print(f"{each.id}: {each.error}", file=sys.stderr)
            else:
                print(json.dumps(each.resource.to_dict(), default=str), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(sys.stdin.read().split())) else 0)
