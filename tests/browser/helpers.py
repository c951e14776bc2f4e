"""A sandbox with some requests, for the browser tests and the pictures."""

from contextlib import asynccontextmanager

import aiohttp

from persona_share.sandbox import Sandbox
from tests.sandbox.raw import RawClient, body
from tests.sandbox.sharing import TOKENS, redeem


CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@asynccontextmanager
async def browser():
    """Run Debian's Chromium."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - loads slowly

    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS
        )
        yield found
        await found.close()


@asynccontextmanager
async def running_sandbox(**options):
    """Run a sandbox with a raw client."""
    async with Sandbox(**options) as sandbox, aiohttp.ClientSession() as session:
        yield RawClient(session, sandbox)


async def send_requests(raw):
    """Send typical requests, and advance the clock."""
    sandbox = raw.sandbox
    inquiries = sandbox.populate(6)
    connection = sandbox.connect()
    scopes = [f"inquiry.read:{each}" for each in inquiries[:4]]
    for scope in scopes:
        token = await raw.token(scope)
        await raw.get(f"/inquiries/{scope.partition(':')[2]}", token)
    sandbox.revoke(scopes[3])
    sandbox.advance(1500)
    await raw.token(scopes[0])
    await raw.post("/inquiries/search", json={"query": {}})
    for source in inquiries[:2]:
        given = body(connection_id=connection, source_id=source)
        made = await raw.post(TOKENS, json=given)
        await redeem(raw, made.json["data"]["id"])
    sandbox.advance(3)
    await raw.post(f"/inquiries/{inquiries[0]}/approve")
    await raw.post(f"/inquiries/{inquiries[0]}/approve")
    await raw.get("/inquiries/inq_missing", token)
    await raw.code(f"inquiry.read:{inquiries[4]}")
    sandbox.advance(1850)
    verification = sandbox.add_verification(inquiry=inquiries[5]).id
    await raw.token(f"inquiry.read:{inquiries[5]} verification.read:{verification}")
