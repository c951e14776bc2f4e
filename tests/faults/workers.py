"""The job of a spawned worker, which opens its own client and manager."""

import asyncio
import hashlib

from persona_share import PersonaClient, ScopedTokenManager


def exchange_in_a_worker(url, api_key, code, scope, policies):
    """Exchange a code in this process; return the scope and a hash of the token."""

    renewal, retry = policies

    async def work():
        async with (
            PersonaClient(
                api_key, base_url=url, insecure_local=True, retry=retry
            ) as client,
            ScopedTokenManager(client, renewal=renewal) as manager,
        ):
            granted = await manager.exchange(code, scope=scope)
            token = await manager.token(scope)
            return granted, hashlib.sha256(token.reveal().encode()).hexdigest()

    return asyncio.run(work())
