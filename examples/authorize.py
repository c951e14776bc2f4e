"""Source: create one code by hand for a partner and some objects.

python examples/authorize.py org_… inq_… ver_…
"""

import asyncio
import sys

from persona_share import PersonaClient, Scope


async def main(partner: str, *ids: str) -> None:
    """Print a code; it works once, for this partner, for about ten minutes."""
    async with PersonaClient.from_env() as source:
        code = await source.oauth.authorize(client_id=partner, scope=Scope.read(*ids))
    print(code.reveal())
    print(f"for {code.scope}, until {code.expires_at:%H:%M:%S} UTC", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
