"""Each example does what its first line says."""

import ast
import json
from datetime import UTC, datetime

import aiohttp
import pytest

from persona_share import PersonaClient
from persona_share.model.inquiry import Inquiry
from persona_share.partner import read_audit
from persona_share.partner.applications import free_port
from persona_share.testing import delivery, resource
from tests.examples.conftest import EXAMPLES


pytestmark = pytest.mark.asyncio
SECRET = "wbhsec_of-the-example"


def names_of_examples():
    return sorted(path.name for path in EXAMPLES.glob("*.py"))


async def test_ten_examples_have_fewer_than_forty_lines_each():
    assert len(names_of_examples()) == 10
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text("utf-8")
    for name in names_of_examples():
        lines = (EXAMPLES / name).read_text("utf-8").splitlines()
        assert len(lines) < 40
        assert f"({name})" in listed
        assert f"{{literalinclude}} ../examples/{name}" in page


async def test_partner_service_has_ten_lines():
    docstring, *statements = ast.parse(
        (EXAMPLES / "partner.py").read_text("utf-8")
    ).body
    assert isinstance(docstring, ast.Expr)
    assert sum(each.end_lineno - each.lineno + 1 for each in statements) == 10


async def test_shared_inquiry_is_read_and_another_is_not(programs):
    [shared] = await programs.shared()
    code, out, err = await programs.run("read_inquiry.py", shared)
    assert code == 0, err
    status, first, last = out.split()
    assert status == "approved"
    assert first != "None"
    assert last != "None"
    other = programs.sandbox.add_inquiry().id
    code, out, err = await programs.run("read_inquiry.py", other)
    assert (code, out) == (1, "")
    assert err == "The partner does not share this inquiry.\n"
    decisions = [
        each["decision"] for each in read_audit(programs.folder / "audit.jsonl")
    ]
    assert decisions == ["issued", "refused"]


async def test_batch_prints_a_line_for_each_inquiry(programs):
    ids = await programs.shared(20)
    code, out, err = await programs.run("fetch_many.py", stdin="\n".join(ids))
    assert code == 0, err
    assert {json.loads(line)["id"] for line in out.splitlines()} == set(ids)
    assert programs.sandbox.log.tokens_issued == 1


async def test_other_http_client_prints_an_inquiry(programs):
    [shared] = await programs.shared()
    code, out, err = await programs.run("embedding.py", shared)
    assert code == 0, err
    assert json.loads(out)["data"]["id"] == shared


async def test_authorize_example_prints_a_code(programs):
    sandbox = programs.sandbox
    inquiry = sandbox.add_inquiry().id
    command = ("authorize.py", sandbox.destination.id, inquiry)
    code, out, err = await programs.run(*command, side=sandbox.source)
    assert code == 0, err
    assert len(out.split()) == 1
    assert f"inquiry.read:{inquiry}" in err
    assert sandbox.log.codes_issued == 1


@pytest.mark.slow
async def test_share_token_is_redeemed_and_the_copy_is_named(programs):
    sandbox = programs.sandbox
    sandbox.connect()
    inquiry = sandbox.add_inquiry(status="approved").id
    options = {"base_url": sandbox.url, "insecure_local": True}
    async with PersonaClient(sandbox.source.api_key, **options) as source:
        connection = await source.connections.find_active(sandbox.destination.id)
        token = await source.share_tokens.create(
            connection_id=connection.id, source_id=inquiry
        )
    code, out, err = await programs.run("share_token.py", token.id)
    assert code == 0, err
    copy = out.strip()
    assert copy.startswith("inq_")
    assert copy != inquiry
    async with PersonaClient(sandbox.destination.api_key, **options) as destination:
        assert (await destination.inquiries.retrieve(copy)).id == copy


async def test_files_are_saved(programs):
    sandbox = programs.sandbox
    inquiry = sandbox.add_inquiry().id
    document = sandbox.add_document(inquiry=inquiry, kind="generic").id
    code, out, err = await programs.run(
        "files.py", inquiry, document, side=sandbox.source
    )
    assert code == 0, err
    paths = [programs.folder / line for line in out.splitlines()]
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert len(paths) > 1
    assert all(path.stat().st_size for path in paths)


@pytest.mark.slow
async def test_events_are_received_once(programs):
    port = free_port()
    command = ("-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", str(port))
    server = programs.serving(
        *command, "webhook:app", port=port, PERSONA_WEBHOOK_SECRET=SECRET
    )
    now = datetime.now(UTC)  # noqa: TID251 — as a sender does
    body, signature = delivery(
        "inquiry.completed", resource(Inquiry, "inq_1"), SECRET, at=now
    )
    async with server as url, aiohttp.ClientSession() as http:
        responses = []
        for given in (signature, "t=1,v1=0", signature):
            headers = {"Persona-Signature": given}
            async with http.post(
                f"{url}/webhook", data=body, headers=headers
            ) as response:
                responses.append(response.status)
    assert responses[:2] == [200, 400]
    assert responses[2] in {200, 503}  # the first may not be confirmed yet
    assert (programs.folder / "webhooks.db").exists()
