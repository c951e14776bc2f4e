"""A sandbox for processes, and the places where they share tokens."""

import pytest
import pytest_asyncio

from persona_share.sandbox import Sandbox
from tests.fleet.crew import Place
from tests.redis_server import one_redis, own_redis, redis_server


__all__ = ["one_redis", "own_redis", "redis_server"]


@pytest_asyncio.fixture
async def box():
    async with Sandbox(rate_limit=None) as box:
        yield box


@pytest.fixture(params=["sqlite", "redis"])
def shared(request, tmp_path):
    """Return where a store is."""
    if request.param == "redis":
        return request.getfixturevalue("redis_server").url
    return str(tmp_path / "tokens.db")


@pytest.fixture
def place(box):
    """Return a place without a store, and `place_with` one."""
    return Place(
        box.url, box.source.api_key, box.destination.api_key, box.destination.id
    )
