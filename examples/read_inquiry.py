"""Destination: read an inquiry that a partner shares.

python examples/read_inquiry.py inq_…
"""

import asyncio
import sys

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import CodeRefusedError
from persona_share.partner import PartnerCodeSource


async def main(inquiry_id: str) -> None:
    """Print the status of an inquiry, and a person's name."""
    async with (
        PartnerCodeSource.from_env() as codes,
        PersonaClient.from_env() as client,
        ScopedTokenManager(client, codes=codes) as manager,
    ):
        session = manager.session(Scope.read(inquiry_id))
        inquiry = await session.inquiries.retrieve(inquiry_id)
        values = inquiry.values
        print(inquiry.status, values.get("name_first"), values.get("name_last"))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except CodeRefusedError:
        sys.exit("The partner does not share this inquiry.")
