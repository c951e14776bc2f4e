"""A destination that knows the OpenAPI document only: its client is generated from it."""

import asyncio
import importlib
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from joserfc import jwk, jwt

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.partner import openapi
from persona_share.partner.applications import free_port
from tests.partner.conftest import signing_key
from tests.partner.test_push import receiving, source_key


pytestmark = [pytest.mark.asyncio, pytest.mark.slow]
GENERATOR = str(Path(sys.executable).with_name("openapi-python-client"))


@pytest_asyncio.fixture
async def generated(tmp_path, monkeypatch):
    """Generate a client; yield what imports a module of it."""
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(openapi()), "utf-8")
    process = await asyncio.create_subprocess_exec(
        GENERATOR, "generate", "--meta", "none", "--path", str(document),
        "--output-path", str(tmp_path / "generated"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name: importlib.import_module(f"generated.{name}")
    for name in [each for each in sys.modules if each.startswith("generated")]:
        del sys.modules[name]


def assertion(harness, key, sender, audience):
    """Sign as the document says, without the help of this library."""
    harness.numbers += 1
    claims = {
        "iss": sender,
        "sub": sender,
        "aud": audience,
        "exp": int(harness.clock.wall().timestamp()) + 120,
        "jti": f"generated-{harness.numbers}",
    }
    private = jwk.import_key(json.loads(key.private_jwk().reveal()))
    return jwt.encode({"alg": "ES256"}, claims, private, ["ES256"])


@asynccontextmanager
async def served(harness):
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    issuer = harness.new_issuer(url=f"{origin}/codes")
    async with TestServer(issuer.aiohttp(), port=port):
        yield origin


async def test_generated_client_gets_a_code_that_works(harness, generated):
    scope = await harness.shared()
    create_code = generated("api.codes.create_code")
    models = generated("models")

    async def ask(origin, scope):
        token = assertion(harness, signing_key(), harness.partner, f"{origin}/codes")
        [kind] = models.CodeRequestClientAssertionType
        body = models.CodeRequest(
            client_assertion_type=kind, client_assertion=token, scope=scope
        )
        async with generated("client").Client(
            base_url=origin, raise_on_unexpected_status=True
        ) as client:
            return await create_code.asyncio(client=client, body=body)

    async with served(harness) as origin:
        code = await ask(origin, scope)
        other = f"inquiry.read:{harness.sandbox.add_inquiry().id}"
        refused = await ask(origin, f"{scope} {other}")
    assert (code.scope, code.expires_in > 500) == (scope, True)
    assert (refused.error, refused.refused) == ("access_denied", other)
    async with (
        PersonaClient(
            harness.sandbox.destination.api_key,
            base_url=harness.sandbox.url,
            insecure_local=True,
        ) as client,
        ScopedTokenManager(client) as manager,
    ):
        assert str(await manager.exchange(code.code)) == scope


async def test_generated_client_pushes_a_code(harness, generated):
    scope, source = await harness.shared(), harness.sandbox.source.id
    deliver_code = generated("api.inbox.deliver_code")
    models = generated("models")
    async with receiving(harness) as (manager, url):
        [kind] = models.DeliveryClientAssertionType
        body = models.Delivery(
            client_assertion_type=kind,
            client_assertion=assertion(harness, source_key(), source, url),
            code="the-code",
            scope=scope,
            expires_in=500,
        )
        async with generated("client").Client(
            base_url=url.removesuffix("/inbox")
        ) as client:
            response = await deliver_code.asyncio_detailed(client=client, body=body)
        assert response.status_code == 204
        assert manager.metrics().codes_waiting == 1
