"""Destination: redeem a share token, and wait for the copy.

python examples/share_token.py cnst_…
"""

import asyncio
import sys

from persona_share import PersonaClient


async def main(share_token_id: str) -> None:
    """Print the id of the copy."""
    async with PersonaClient.from_env() as client:
        await client.share_tokens.redeem(share_token_id)
        done = await client.share_tokens.wait(share_token_id, timeout=120)
    print(done.destination_id)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
