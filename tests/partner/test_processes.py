"""The service as it is run: two processes, one store, one audit log, and kill -9."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import attrs
import pytest
import pytest_asyncio

from persona_share import Secret
from persona_share._transport.runtime import system_runtime
from persona_share.partner import Consents, SigningKey, read_audit
from persona_share.partner.audit import fingerprint
from persona_share.partner.keys import ASSERTION_TYPE, signed_assertion
from persona_share.sandbox import Sandbox
from persona_share.stores import SQLiteStore


pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

COMMAND = str(Path(sys.executable).with_name("persona-share"))
URL = "https://source.example/codes"
#: Codes a minute of three partners; together they ask a thousand times.
LIMITS = {"one": 20, "two": 45, "three": 70}
REQUESTS = 1_000
AGREEMENT = """
[[agreement]]
partner = "{partner}"
permissions = ["inquiry.read"]
valid_from = 2020-01-01
valid_until = 2120-01-01
codes_per_minute = {limit}
keys_file = "{name}.json"
"""


@attrs.define
class Service:
    """A source organization with three partners, and a folder for everything."""

    sandbox: Sandbox
    folder: Path
    partners: dict
    keys: dict
    scopes: dict = attrs.field(factory=dict)

    @property
    def audit(self):
        return list(read_audit(self.folder / "audit.jsonl"))

    async def prepare(self, limits):
        store = SQLiteStore(self.folder / "partner.db")
        until = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251
        tables = ""
        async with Consents(store) as consents:
            for name, limit in limits.items():
                partner, jwk = self.partners[name], self.keys[name].public_jwk
                (self.folder / f"{name}.json").write_text(json.dumps(jwk), "utf-8")
                tables += AGREEMENT.format(partner=partner, limit=limit, name=name)
                self.scopes[name] = f"inquiry.read:{self.sandbox.add_inquiry().id}"
                await consents.grant(partner, self.scopes[name], until=until, by="f-1")
        (self.folder / "agreements.toml").write_text(tables, "utf-8")

    @asynccontextmanager
    async def worker(self):
        """Run `persona-share partner serve`; yield its address and its process."""
        environment = os.environ | {
            "PERSONA_API_KEY": self.sandbox.source.api_key,
            "PERSONA_BASE_URL": self.sandbox.url,
            "PERSONA_INSECURE_LOCAL": "1",
        }
        process = await asyncio.create_subprocess_exec(
            COMMAND, "partner", "serve", "--json", "--port", "0", "--url", URL,
            "--agreements", str(self.folder / "agreements.toml"),
            "--store", str(self.folder / "partner.db"),
            "--audit", str(self.folder / "audit.jsonl"),
            env=environment, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            started = json.loads(await process.stdout.readline())
            yield started["listening"], process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.communicate()

    def form(self, name):
        runtime, partner = system_runtime(), self.partners[name]
        assertion = signed_assertion(self.keys[name], partner, URL, runtime)
        return urlencode(
            {
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion.reveal(),
                "scope": self.scopes[name],
            }
        )


@pytest_asyncio.fixture
async def service(tmp_path):
    async with Sandbox(rate_limit=None) as sandbox:
        others = [sandbox.add_organization().id for _ in range(2)]
        partners = dict(zip(LIMITS, [sandbox.destination.id, *others], strict=True))
        keys = {name: SigningKey.generate() for name in LIMITS}
        yield Service(sandbox, tmp_path, partners, keys)


async def post(session, url, form):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        async with session.post(url, data=form, headers=headers) as response:
            return response.status, await response.json()
    except (aiohttp.ClientError, ConnectionError):
        return None, {}


async def test_limits_hold_to_the_number_over_two_processes(service):
    await service.prepare(LIMITS)
    names = [list(LIMITS)[n % 3] for n in range(REQUESTS)]
    timeout = aiohttp.ClientTimeout(total=300)
    clock = asyncio.get_running_loop().time
    began = clock()
    async with (
        service.worker() as (first, _),
        service.worker() as (second, _),
        aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=REQUESTS)
        ) as session,
    ):
        urls = (first, second)
        responses = await asyncio.gather(
            *(
                post(session, urls[n // 3 % 2], service.form(name))
                for n, name in enumerate(names)
            )
        )
    statuses = Counter(
        (name, status) for name, (status, _) in zip(names, responses, strict=True)
    )
    got = {name: statuses[name, 200] for name in LIMITS}
    if clock() - began < 60:
        assert got == LIMITS
    for name, limit in LIMITS.items():  # on a slow machine another minute may begin
        assert limit <= got[name] <= limit * (1 + (clock() - began) // 60)
    given = sum(got.values())
    assert sum(statuses[name, 429] for name in LIMITS) == REQUESTS - given
    codes = {body["code"] for status, body in responses if status == 200}
    assert len(codes) == given == service.sandbox.log.codes_issued
    lines = service.audit
    assert len(lines) == REQUESTS
    issued = {each["code"] for each in lines if each["decision"] == "issued"}
    assert issued == {fingerprint(Secret(code)) for code in codes}
    decisions = Counter(each["decision"] for each in lines)
    assert decisions == {"issued": given, "refused": REQUESTS - given}


async def test_one_assertion_works_once_at_two_processes(service):
    await service.prepare({"one": 60})
    async with (
        service.worker() as (first, _),
        service.worker() as (second, _),
        aiohttp.ClientSession() as session,
    ):
        form = service.form("one")
        urls = [first, second] * 10
        responses = await asyncio.gather(*(post(session, url, form) for url in urls))
    assert sorted(status for status, _ in responses) == [200] + [401] * 19
    reasons = Counter(each["reason"] for each in service.audit)
    assert reasons == {"agreed": 1, "assertion_replayed": 19}


async def test_every_response_has_its_line_and_limits_hold_when_processes_are_killed(
    service,
):
    limits = {"one": 3_000, "two": 10}
    await service.prepare(limits)
    clock, responses, codes = asyncio.get_running_loop().time, Counter(), set()
    began = clock()

    async def ask(session, urls, name):
        while not done:
            url = urls[responses.total() % 2]
            status, body = await post(session, url, service.form(name))
            if status is not None:  # else the process was killed before it responded
                responses[name, status] += 1
                codes.update({body["code"]} if status == 200 else ())

    async with aiohttp.ClientSession() as session:
        for killed in range(2):
            done = []
            async with (
                service.worker() as (first, one),
                service.worker() as (second, two),
            ):
                asking = [
                    asyncio.ensure_future(ask(session, (first, second), name))
                    for name in [*limits] * 8
                ]
                enough = responses["one", 200] + 15
                while responses["one", 200] < enough:
                    await asyncio.wait(asking, timeout=0.01)
                (one, two)[killed % 2].kill()
                await asyncio.wait(asking, timeout=0.3)
                done.append(True)
                await asyncio.gather(*asking)
    lines = service.audit  # each of them can be read
    issued = {each["code"] for each in lines if each.get("code")}
    assert {fingerprint(Secret(code)) for code in codes} <= issued
    decisions = Counter((each.get("partner"), each["decision"]) for each in lines)
    for name in limits:
        partner = service.partners[name]
        assert decisions[partner, "issued"] >= responses[name, 200]
        assert decisions[partner, "refused"] >= responses[name, 429]
    minutes = 1 + (clock() - began) // 60
    assert responses["two", 429] > 0
    assert decisions[service.partners["two"], "issued"] <= limits["two"] * minutes
    assert len(issued) <= service.sandbox.log.codes_issued
