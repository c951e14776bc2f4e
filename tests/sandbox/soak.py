"""A soak of the sandbox: mixed load on full tables, with its memory watched from outside.

``python -m tests.sandbox.soak`` runs for ``SOAK_MINUTES`` against the command
``persona-share sandbox`` with small limits, and prints how the resident memory of that
process grows after the first fifth of the time. ``--unlimited`` keeps the usual limits,
which a short run does not reach; the soak must fail then.
"""

import asyncio
import base64
import json
import os
import random  # noqa: TID251 - seeded by the soak itself
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import attrs
from aiohttp import web

from persona_share.sandbox import Limits


WORKERS = 8
PARTS = 10
#: The tables of the measured sandbox are full within seconds.
LIMIT = 100
#: The most that resident memory may grow once the tables are full.
MAX_GROWTH = 8 * 2**20
PHOTO = base64.b64encode(os.urandom(20_000)).decode()


def say(text):
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Load:
    """Requests of every kind that fills a table."""

    def __init__(self, session, sandbox, receiver):
        self.session, self.receiver = session, receiver
        self.url = sandbox["url"]
        self.control = self.url.removesuffix("/api/v1") + "/_sandbox"
        self.source, self.destination = sandbox["source"], sandbox["destination"]
        (self.connection,) = sandbox["connections"]
        self.inquiries = sandbox["inquiries"]
        self.sent = 0

    async def call(self, method, path, by, **options):
        """Return the JSON of a response, or an empty object if there is none."""
        self.sent += 1
        headers = {
            "Authorization": f"Bearer {by}",
            "Idempotency-Key": f"{self.sent}",
            **options.pop("headers", {}),
        }
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(
            method, url, headers=headers, **options
        ) as response:
            body = await response.read()
            if response.status >= 500:
                message = f"{method} {path} got {response.status}"
                raise RuntimeError(message)
        return json.loads(body) if body.startswith(b"{") else {}

    async def create(self, path, by=None, **attributes):
        """Return the ID of a new object."""
        body = {
            "data": {
                "attributes": {k.replace("_", "-"): v for k, v in attributes.items()}
            }
        }
        found = await self.call("POST", path, by or self.source["api_key"], json=body)
        return found["data"]["id"]

    async def inquiry(self):
        """Create an inquiry, and make it one of those that others read."""
        template = await self.template()
        made = await self.create("/inquiries", inquiry_template_id=template)
        self.inquiries = [*self.inquiries[-20:], made]

    async def template(self):
        """Return the ID of the usual template."""
        found = await self.call(
            "GET", f"/inquiries/{self.inquiries[-1]}", self.source["api_key"]
        )
        return found["data"]["relationships"]["inquiry-template"]["data"]["id"]

    async def token(self):
        """Share an inquiry by a token, and read it."""
        inquiry = random.choice(self.inquiries)  # noqa: S311 - no secret
        form = {"response_type": "code", "client_id": self.destination["id"]}
        form["scope"] = f"inquiry.read:{inquiry}"
        found = await self.call(
            "POST", "/oauth/authorize", self.source["api_key"], data=form
        )
        form = {"grant_type": "authorization_code", "code": found.get("code", "")}
        found = await self.call(
            "POST", "/oauth/token", self.destination["api_key"], data=form
        )
        token = found.get("access-token", "none")
        await self.call("GET", f"/inquiries/{inquiry}?include=account", token)

    async def account(self):
        """Create an account with a photo, which is a file."""
        photo = {"data": {"data": PHOTO, "filename": "photo.png"}}
        account = await self.create("/accounts", selfie_photo=photo, tags=["a"])
        found = await self.call("GET", f"/accounts/{account}", self.source["api_key"])
        photo = found["data"]["attributes"]["fields"]["selfie_photo"]["value"]
        await self.call("GET", photo["url"], "none")

    async def share(self):
        """Redeem a share token."""
        token = await self.create(
            "/connect/share-tokens",
            connection_id=self.connection,
            source_id=random.choice(self.inquiries),  # noqa: S311 - no secret
        )
        path = f"/connect/share-tokens/{token}/redeem"
        await self.call("POST", path, self.destination["api_key"])

    async def webhook(self):
        """Replace the webhook, and rotate its secret."""
        webhook = await self.create(
            "/webhooks", name="soak", url=self.receiver, enabled_events=["*"]
        )
        for action in ("enable", "rotate-secret"):
            path = f"/webhooks/{webhook}/{action}"
            await self.call("POST", path, self.source["api_key"], json={})

    async def api_key(self):
        """Create an API key, and use it."""
        body = {
            "data": {"attributes": {"name": "soak", "permissions": ["inquiry.read"]}}
        }
        await self.call("POST", "/api-keys", self.source["api_key"], json=body)

    async def read(self):
        """Read lists, logs and objects that are missing."""
        for path in (
            "/inquiries?page[size]=5",
            "/events?page[size]=5",
            "/api-logs?page[size]=5",
            "/inquiries/inq_missing",
        ):
            await self.call("GET", path, self.source["api_key"])

    async def advance(self):
        """Move the clock: tokens expire, deliveries are tried again."""
        url = f"{self.control}/clock/advance"
        await self.call("POST", url, "none", json={"seconds": 200})

    async def run(self, until):
        """Do one thing after the other."""
        actions = [self.inquiry, self.token, self.account, self.share, self.api_key]
        actions = [*actions, self.read] * 3 + [self.webhook, self.advance]
        while asyncio.get_running_loop().time() < until:
            await random.choice(actions)()  # noqa: S311 - no secret


async def receive(_request):
    """Accept most deliveries."""
    return web.Response(status=random.choice((200, 200, 200, 500)))  # noqa: S311 - no secret


def resident(pid):
    """Return the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def soak(pid, sandbox, seconds):
    """Load the sandbox for so long; return the requests and bytes of each part."""
    receiver = web.Application()
    receiver.router.add_post("/", receive)
    runner = web.AppRunner(receiver)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    found = []
    until = asyncio.get_running_loop().time() + seconds
    async with aiohttp.ClientSession() as session:
        load = Load(session, sandbox, f"http://127.0.0.1:{port}/")
        workers = [asyncio.create_task(load.run(until)) for _ in range(WORKERS)]
        for part in range(1, PARTS + 1):
            await asyncio.wait(workers, timeout=seconds / (PARTS + 1))
            found.append((load.sent, resident(pid)))
            say(f"{part}/{PARTS}: {load.sent} requests, {found[-1][1] / 2**20:.1f} MiB")
        await asyncio.gather(*workers)
    await runner.cleanup()
    return found


def judged(found):
    """Print the slope; return whether it is flat."""
    (_, first), (_, last) = found[1], found[-1]
    requests = max(found[-1][0] - found[1][0], 1)
    growth = last - first
    say(
        f"soak-sandbox: {requests} requests on full tables, {growth / 2**20:+.2f} MiB, "
        f"{growth / requests:+.1f} B a request"
    )
    return growth <= MAX_GROWTH


async def main():
    """Run the sandbox and the load; return the exit code."""
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", "20"))
    tables = [] if "--unlimited" in sys.argv else [f.name for f in attrs.fields(Limits)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "persona_share", "sandbox", "--json", "--connected"),
        *("--rate-limit", "0", "--inquiries", "20"),
        *("--switch", "redemption_seconds=0.5"),
        *(f"--limit={name}={LIMIT}" for name in tables),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        sandbox = json.loads(await process.stdout.readline())
        assert urlsplit(sandbox["url"]).hostname == "127.0.0.1"
        return not judged(await soak(process.pid, sandbox, seconds))
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    random.seed(1)
    sys.exit(asyncio.run(main()))
