"""List the connections of the organization that PERSONA_API_KEY belongs to."""

import asyncio

from persona_share import PersonaClient


async def main() -> None:
    """Print the id and the status of each connection."""
    async with PersonaClient.from_env() as client:
        async for connection in client.connections.list():
            print(connection.id, connection.status)


if __name__ == "__main__":
    asyncio.run(main())
