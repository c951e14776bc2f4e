"""A sandbox whose clock moves only when advanced, and a raw client for it."""

import aiohttp
import pytest_asyncio

from persona_share.sandbox import Sandbox
from tests.sandbox.raw import RawClient


NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


@pytest_asyncio.fixture
async def sandbox():
    async with Sandbox(_clock=lambda: NOON) as running:
        yield running
    assert running.log.crashes == []


@pytest_asyncio.fixture
async def raw(sandbox):
    async with aiohttp.ClientSession() as session:
        yield RawClient(session, sandbox)
