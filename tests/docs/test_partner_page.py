"""The page on partners does what it says, and takes few lines of each side."""

import inspect
import json
import re
from datetime import date

import httpx
import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from persona_share import (
    PersonaClient,
    Scope,
    ScopedTokenManager,
    partner as partner_package,
)
from persona_share._tokens.backoff import full_jitter
from persona_share._tokens.record import _COUNT_WINDOW, MAX_BACKOFF
from persona_share._tokens.source import _SHARED_PAUSE
from persona_share.cli.partner import partner
from persona_share.errors import CodeRefusedError
from persona_share.partner import SigningKey, load_agreements
from persona_share.partner.applications import free_port
from persona_share.partner.issuer import Reason
from persona_share.stores import MemoryStore
from tests.docs.blocks import ROOT, blocks_of


PAGE = "docs/howto/partner.md"
TEXT = (ROOT / PAGE).read_text("utf-8")


def page_names(**replaced):
    """Return what the page defines, with some of its addresses replaced."""
    code = "\n".join(blocks_of(PAGE))
    replaced |= {"Client.from_env()": "Client.from_env(insecure_local=True)"}
    for old, new in replaced.items():
        code = code.replace(old, new)
    names = {}
    exec(compile(code, PAGE, "exec"), names)  # noqa: S102 - our own page
    return names


def files_of_the_source(folder, partner):
    """Write the agreements of the page, and the destination's key."""
    [table] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    key = SigningKey.generate()
    path = folder / "partner.key"
    path.touch(0o600)
    path.write_text(key.private_jwk().reveal(), "utf-8")
    (folder / "partner.json").write_text(json.dumps(key.public_jwk), "utf-8")
    table = table.replace("org_Destination", partner)
    (folder / "agreements.toml").write_text(table, "utf-8")
    return key


@pytest.mark.asyncio
async def test_destination_of_the_page_reads_the_shared_object(reader, tmp_path):
    sandbox, port = reader.sandbox, free_port()
    url = f"http://127.0.0.1:{port}/codes"
    inquiry, other = sandbox.add_inquiry(status="approved"), sandbox.add_inquiry()
    reader.monkeypatch.chdir(tmp_path)
    files_of_the_source(tmp_path, sandbox.destination.id)
    reader.monkeypatch.setenv("PERSONA_PARTNER_URL", url)
    reader.monkeypatch.setenv("PERSONA_ORGANIZATION_ID", sandbox.destination.id)
    reader.monkeypatch.setenv("PERSONA_PARTNER_KEY_FILE", "partner.key")
    reader.use_key_of("source")
    names = page_names(**{"https://share.example/codes": url})
    issuer = names["issuer"]
    async with TestServer(issuer.aiohttp(), port=port):
        await names["agreed"](issuer, sandbox.destination.id, inquiry.id, "form-1")
        reader.use_key_of("destination")
        assert await names["status"](inquiry.id) == "approved"
        with pytest.raises(CodeRefusedError):
            await names["status"](other.id)
    assert len((tmp_path / "audit.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.asyncio
async def test_pushed_code_of_the_page_becomes_a_token(reader, tmp_path):
    sandbox, port = reader.sandbox, free_port()
    url = f"http://127.0.0.1:{port}/inbox"
    reader.monkeypatch.chdir(tmp_path)
    files_of_the_source(tmp_path, sandbox.destination.id)
    reader.use_key_of("source")
    names = page_names(**{"https://destination.example/inbox": url})
    inquiry, key = sandbox.add_inquiry(), SigningKey.generate()
    table = (tmp_path / "agreements.toml").read_text("utf-8")
    (tmp_path / "agreements.toml").write_text(f'{table}\ninbox = "{url}"\n', "utf-8")
    options = {"base_url": sandbox.url, "insecure_local": True}
    issuer = names["CodeIssuer"](
        PersonaClient(sandbox.source.api_key, **options),
        agreements="agreements.toml",
        audit="audit.jsonl",
        store=MemoryStore(),
        organization=sandbox.source.id,
        key=key,
    )
    async with (
        PersonaClient(sandbox.destination.api_key, **options) as client,
        ScopedTokenManager(client) as manager,
    ):
        inbox = names["inbox"](manager, sandbox.source.id, key.public_jwk)
        async with TestServer(inbox.aiohttp(), port=port), issuer:
            await names["agreed"](issuer, sandbox.destination.id, inquiry.id, "form-1")
            await names["push"](issuer, sandbox.destination.id, inquiry.id)
            assert await manager.token(Scope.read(inquiry.id))


@pytest.mark.asyncio
async def test_application_of_the_page_is_asgi(reader, tmp_path):
    reader.monkeypatch.chdir(tmp_path)
    files_of_the_source(tmp_path, reader.sandbox.destination.id)
    reader.use_key_of("source")
    app = page_names()["app"]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://share.example"
    ) as web:
        assert (await web.get("/codes")).status_code == 405


def test_agreement_of_the_page_can_be_read(tmp_path):
    files_of_the_source(tmp_path, "org_Destination")
    [agreement] = load_agreements(tmp_path / "agreements.toml")
    assert agreement.valid_from.date() == date(2026, 1, 1)


def test_addresses_without_a_port_option_are_the_default():
    command = CliRunner().invoke(partner, ["serve", "--help"]).output
    [default] = re.findall(r"default: (8\d+)", command)
    example = (ROOT / "examples/partner.py").read_text("utf-8")
    readme = (ROOT / "examples/README.md").read_text("utf-8")
    for text in (TEXT, example, readme):
        ports = re.findall(r"(?:127\.0\.0\.1:|--port )(\d+)", text)
        assert set(ports) == {default}
        assert "--port" in text


def test_each_side_takes_fifteen_lines_at_most():
    for mark in ("CodeIssuer(\n", "PartnerCodeSource.from_env"):
        [block] = [each for each in blocks_of(PAGE) if mark in each]
        assert len([line for line in block.splitlines() if line.strip()]) <= 15


def test_page_has_every_reason_of_the_audit_log():
    for reason in Reason:
        assert f"`{reason}`" in TEXT
    words = "algorithm|assertion|audience|client|jti|lifetime|signature|subject"
    for module in ("keys", "endpoint"):
        source = (ROOT / f"persona_share/partner/{module}.py").read_text("utf-8")
        for reason in set(re.findall(rf'"((?:{words})_[a-z_]+)"', source)):
            assert reason.startswith("client_assertion") or f"`{reason}`" in TEXT


def test_page_has_the_pauses_of_the_code():
    assert (_SHARED_PAUSE, MAX_BACKOFF["refused"], _COUNT_WINDOW) == (5, 300, 300)
    assert (full_jitter(1, 1.0), full_jitter(99, 1.0)) == (1, 60)
    text = " ".join(TEXT.split())
    for words in (
        "for the same scope again for 5 seconds",
        "up to 5 minutes",
        "up to 1 second at first",
        "up to 60 seconds",
    ):
        assert words in text


def test_every_public_member_of_the_package_is_in_the_reference():
    pages = (ROOT / "docs/reference").glob("partner*.md")
    listed = re.findall(
        r"autoclass:: persona_share\.partner\.(\w+)(?:\n   :members: (.*))?",
        "\n".join(each.read_text("utf-8") for each in pages),
    )
    members = {name: set(filter(None, names.split(", "))) for name, names in listed}
    classes = {
        name: kind
        for name in partner_package.__all__
        if isinstance(kind := getattr(partner_package, name), type)
    }
    assert set(members) == set(classes)
    for name, kind in classes.items():
        public = {
            each
            for each, value in vars(kind).items()
            if not each.startswith("_") and not inspect.ismemberdescriptor(value)
        }
        assert public == members[name], name
