"""A sandbox for worker processes, and the stores that they share."""

import pytest
import pytest_asyncio

from persona_share.sandbox import Sandbox
from tests.fleet.workers import WorkerConfig
from tests.redis_server import one_redis, own_redis, redis_server


__all__ = ["one_redis", "own_redis", "redis_server"]


@pytest_asyncio.fixture
async def sandbox():
    async with Sandbox(rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request, tmp_path):
    """Return the URL of a store."""
    if request.param == "redis":
        return request.getfixturevalue("redis_server").url
    return str(tmp_path / "tokens.db")


@pytest.fixture
def config(sandbox):
    """Return the configuration of a worker without a store."""
    return WorkerConfig(
        sandbox.url,
        sandbox.source.api_key,
        sandbox.destination.api_key,
        sandbox.destination.id,
    )
