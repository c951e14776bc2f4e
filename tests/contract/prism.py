"""Send every request of the client to a mock server made from Persona's description.

``python -m tests.contract.prism`` starts prism (npm, `VERSION`) on 127.0.0.1 and counts
what it has against the requests; it is a reader of the description that shares no line
with our own. Where it cannot be had, that is said, and nothing is claimed.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import aiohttp
from yarl import URL

from persona_share._protocol.http import Request
from persona_share._protocol.routes import routes
from tests.contract.calls import CALLS
from tests.contract.description import PATH
from tests.contract.openness import open_document
from tests.contract.talking import talk


VERSION = "5.14.2"
PATIENCE = 900
HEADERS = {
    "Authorization": "Bearer persona_sandbox_nobody",
    "Idempotency-Key": "a-key",
    "Key-Inflection": "kebab",
    "Persona-Version": "2025-12-08",
}
#: A share token without a source, which the description does not allow.
WRONG = Request(
    method="POST",
    route="/connect/share-tokens",
    target="/connect/share-tokens",
    deadline=0.0,
    body=b'{"data":{"attributes":{"connection-id":"cxn_1"}}}',
    content_type="application/json",
)


class PrismMissingError(Exception):
    """Prism cannot be had here."""


@contextlib.asynccontextmanager
async def running_prism():
    """Run prism; answer its address."""
    npx = shutil.which("npx")
    if npx is None:
        raise PrismMissingError("there is no npx here")
    with socket.socket() as free, tempfile.TemporaryDirectory() as place:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        document = _written(Path(place, "description.json"))
        command = [npx, "--yes", f"@stoplight/prism-cli@{VERSION}", "mock"]
        command += ["--host", "127.0.0.1", "--port", str(port), str(document)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        reader = asyncio.create_task(_until_it_listens(process))
        try:
            await asyncio.wait_for(reader, PATIENCE)
            pump = asyncio.create_task(process.stdout.read())
            yield f"http://127.0.0.1:{port}"
            pump.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            await process.wait()


def _written(path):
    """Write the description of what we call; all of it takes minutes to be read."""
    whole, ours = open_document(), {route.template for route in routes()}
    paths = {name: each for name, each in whole["paths"].items() if name in ours}
    kept = {name: each for name, each in whole.items() if name != "webhooks"}
    path.write_text(json.dumps(kept | {"paths": paths}), "utf-8")
    return path


async def _until_it_listens(process):
    said = b""
    while line := await process.stdout.readline():
        said += line
        if b"Prism is listening" in line:
            return
    tail = said.decode("utf-8", "replace")[-500:]
    raise PrismMissingError(f"prism did not start:\n{tail}")


async def violations(session, origin, request):
    """Answer what prism has against one request."""
    headers = dict(HEADERS)
    if request.content_type is not None:
        headers["Content-Type"] = request.content_type
    # One path has a pattern for an id that is opaque everywhere else.
    target = request.target.replace("/act_1/", f"/act_{'1' * 24}/")
    async with session.request(
        request.method,
        URL(origin + target, encoded=True),
        headers=headers,
        data=request.body,
    ) as answer:
        body = await answer.read()
        told = json.loads(answer.headers.get("sl-violations", "[]"))
        if answer.status >= 400:
            told.append({"location": ["request"], "message": body[:300].decode()})
    return [each for each in told if each["location"][:1] == ["request"]]


async def main():
    """Answer how many requests there were, and how many of them prism refuses."""
    sent = refused = 0
    async with running_prism() as origin, aiohttp.ClientSession() as session:
        if not await violations(session, origin, WRONG):
            raise PrismMissingError("it does not refuse a request that is wrong")
        for name in CALLS:
            requests, _ = await talk(name)
            for request in requests:
                sent += 1
                told = await violations(session, origin, request)
                refused += bool(told)
                for each in told:
                    sys.stdout.write(f"{name}: {json.dumps(each)}\n")
    return sent, refused


if __name__ == "__main__":
    if not PATH.is_file():
        sys.exit(f"Persona's description is not at {PATH}; set PERSONA_OPENAPI_SPEC")
    try:
        count, bad = asyncio.run(main())
    except (PrismMissingError, TimeoutError) as missing:
        sys.stdout.write(f"prism: not run, as {missing}\n")
        sys.exit(0)
    sys.stdout.write(f"prism {VERSION}: {count} requests, {bad} refused\n")
    sys.exit(bad > 0)
