"""The functions of the jobs that the Dask test runs in its workers."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.stores import SQLiteStore


@asynccontextmanager
async def open_manager():
    """Open a manager with what the environment of the worker says."""
    source_key = os.environ["TEST_SOURCE_KEY"]
    async with (
        PersonaClient.from_env(insecure_local=True) as client,
        PersonaClient(
            source_key, base_url=os.environ["PERSONA_BASE_URL"], insecure_local=True
        ) as source,
    ):

        async def ask_partner(scope):
            return await source.oauth.authorize(
                client_id=os.environ["TEST_ORGANIZATION"], scope=scope
            )

        async with ScopedTokenManager(client, codes=ask_partner) as manager:
            yield manager


def open_store():
    """Open the store of the checkpoints."""
    return SQLiteStore(os.environ["TEST_STORE"])


def handle(fetched):
    """Write the id of an object to the file of this worker."""
    path = Path(os.environ["TEST_FOLDER"]) / str(os.getpid())
    with path.open("a") as file:
        file.write(f"{fetched.id}\n")


def run(job):
    """Run one job in a worker."""
    return job.run()
