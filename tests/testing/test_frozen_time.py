"""The library works under freezegun and time-machine, also when first imported there."""

import subprocess
import sys

import pytest


PROGRAM = """
import asyncio, json
{freezing}
from persona_share.webhooks import Verifier, sign

payload = {{"data": {{"type": "inquiry", "id": "inq_1",
    "attributes": {{"created-at": "2024-01-01T00:00:00.000Z"}}}}}}
body = json.dumps({{"data": {{"type": "event", "id": "evt_1", "attributes": {{
    "name": "inquiry.completed", "created-at": "2024-01-01T00:00:00.000Z",
    "payload": payload}}}}}}).encode()

async def call():
    from persona_share import PersonaClient
    from persona_share.sandbox import Sandbox
    async with Sandbox() as sandbox:
        one = sandbox.add_inquiry(organization=sandbox.source)
        here = {{"base_url": sandbox.url, "insecure_local": True}}
        async with PersonaClient(sandbox.source.api_key, **here) as client:
            return await client.inquiries.retrieve(one.id)

with freeze():
    import datetime
    now = datetime.datetime.now(datetime.timezone.utc)
    event = Verifier("wbhsec_one").verify(body, sign(body, "wbhsec_one", at=now))
    assert event.subject.created_at.year == 2024
    inquiry = asyncio.run(call())
    assert inquiry.created_at.year >= 2020
assert event.subject.created_at.isoformat() == "2024-01-01T00:00:00+00:00"
assert inquiry.created_at.year >= 2020
"""
FREEZING = {
    "freezegun": """
import freezegun
def freeze(): return freezegun.freeze_time("2024-01-01T00:00:10Z", real_asyncio=True)
""",
    "time-machine": """
import time_machine
def freeze(): return time_machine.travel("2024-01-01T00:00:10Z", tick=False)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("library", FREEZING)
def test_objects_are_read_while_time_is_frozen_and_afterwards(library):
    program = PROGRAM.format(freezing=FREEZING[library])
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
