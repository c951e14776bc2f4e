"""Send every request of the client to Prism, a mock server made from the description.

``python -m tests.contract.prism`` starts Prism (npm, `VERSION`) on 127.0.0.1 and counts
the requests that it refuses. It fails if Prism does not start.
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
from tests.contract.calls import CALLS, make_call
from tests.contract.description import PATH, VERSIONS, open_document


VERSION = "5.14.2"
START_TIMEOUT = 900
HEADERS = {
    "Authorization": "Bearer persona_sandbox_nobody",
    "Idempotency-Key": "a-key",
    "Key-Inflection": "kebab",
}
#: A share token without a source, which violates the description.
INVALID = Request(
    method="POST",
    route="/connect/share-tokens",
    target="/connect/share-tokens",
    deadline=0.0,
    body=b'{"data":{"attributes":{"connection-id":"cxn_1"}}}',
    content_type="application/json",
)


class PrismError(Exception):
    """Prism does not start, or does not validate."""


@contextlib.asynccontextmanager
async def running_prism(version):
    """Run Prism on the description of a version; yield its address."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as place:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        document = _write_description(Path(place, "description.json"), version)
        command = ["npx", "--yes", f"@stoplight/prism-cli@{VERSION}", "mock"]
        command += ["--host", "127.0.0.1", "--port", str(port), str(document)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        reader = asyncio.create_task(_until_it_listens(process))
        try:
            await asyncio.wait_for(reader, START_TIMEOUT)
            pump = asyncio.create_task(process.stdout.read())
            yield f"http://127.0.0.1:{port}"
            pump.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            await process.wait()


def _write_description(path, version):
    """Write the description of the client's operations; the whole takes minutes to read."""
    whole, ours = open_document(version), {route.template for route in routes()}
    paths = {name: each for name, each in whole["paths"].items() if name in ours}
    kept = {name: each for name, each in whole.items() if name != "webhooks"}
    path.write_text(json.dumps(kept | {"paths": paths}), "utf-8")
    return path


async def _until_it_listens(process):
    output = b""
    while line := await process.stdout.readline():
        output += line
        if b"Prism is listening" in line:
            return
    tail = output.decode("utf-8", "replace")[-500:]
    raise PrismError(f"Prism did not start:\n{tail}")


async def violations(session, origin, request, version):
    """Return the violations that Prism finds in one request."""
    headers = HEADERS | {"Persona-Version": version}
    if request.content_type is not None:
        headers["Content-Type"] = request.content_type
    # One path has a pattern for an id that is opaque everywhere else.
    target = request.target.replace("/act_1/", f"/act_{'1' * 24}/")
    async with session.request(
        request.method,
        URL(origin + target, encoded=True),
        headers=headers,
        data=request.body,
    ) as response:
        body = await response.read()
        found = json.loads(response.headers.get("sl-violations", "[]"))
        if response.status >= 400:
            found.append({"location": ["request"], "message": body[:300].decode()})
    return [each for each in found if each["location"][:1] == ["request"]]


async def main(version):
    """Return the number of requests, and the number that Prism refuses."""
    sent = refused = 0
    connector = aiohttp.TCPConnector(force_close=True)  # Prism closes idle connections
    async with (
        running_prism(version) as origin,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        if not await violations(session, origin, INVALID, version):
            raise PrismError("it does not refuse an invalid request")
        for name in CALLS:
            requests, _ = await make_call(name)
            for request in requests:
                sent += 1
                found = await violations(session, origin, request, version)
                refused += bool(found)
                for each in found:
                    sys.stdout.write(f"{version} {name}: {json.dumps(each)}\n")
    return sent, refused


if __name__ == "__main__":
    if not PATH.is_file():
        sys.exit(f"Persona's description is not at {PATH}; set PERSONA_OPENAPI_SPEC")
    if shutil.which("npx") is None:
        sys.stdout.write("Prism: left out, npx is missing\n")
        sys.exit()
    failed = False
    for each in VERSIONS:
        count, bad = asyncio.run(main(each))
        sys.stdout.write(f"Prism {VERSION}, {each}: {count} requests, {bad} refused\n")
        failed = failed or bad > 0
    sys.exit(failed)
