"""Two organizations on a sandbox: a source with a `CodeIssuer`, and its partner."""

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import attrs
import httpx
import pytest_asyncio
from joserfc import jwt

from persona_share import PersonaClient
from persona_share.partner import (
    Agreement,
    AuditLog,
    CodeIssuer,
    Consents,
    SigningKey,
    read_audit,
)
from persona_share.partner.keys import ASSERTION_TYPE
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore
from persona_share.testing import FakeClock, fake_runtime


URL = "https://source.example/partner/codes"
START = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def signing_key(name="the partner's", algorithm="ES256"):
    """Return a key; the same name always returns the same one."""
    assert name
    return SigningKey.generate(algorithm)


@attrs.define
class Harness:
    """Both organizations, and the decisions of the source."""

    sandbox: Sandbox
    clock: FakeClock
    folder: Path
    store: MemoryStore
    source: PersonaClient
    issuer: CodeIssuer | None = None
    numbers: int = 0

    @property
    def partner(self):
        return self.sandbox.destination.id

    @property
    def consents(self):
        return Consents(self.store, _runtime=self.source.context.runtime)

    @property
    def audit_path(self):
        return self.folder / "audit.jsonl"

    def audit(self):
        return list(read_audit(self.audit_path)) if self.audit_path.exists() else []

    def agreement(self, **changes):
        values = {
            "partner": self.partner,
            "keys": [signing_key().public_jwk],
            "permissions": ["inquiry.read", "verification.read"],
            "valid_from": START,
            "valid_until": START + timedelta(days=365),
        }
        return Agreement(**(values | changes))

    def new_issuer(self, *agreements, **changes):
        values = {
            "agreements": agreements or [self.agreement()],
            "consents": self.consents,
            "audit": AuditLog(self.audit_path),
            "store": self.store,
            "url": URL,
        }
        return CodeIssuer(self.source, **(values | changes))

    @asynccontextmanager
    async def issuing(self, *agreements, **changes):
        async with self.new_issuer(*agreements, **changes) as issuer:
            self.issuer = issuer
            yield issuer

    async def shared(self, count=1, **agreed):
        """Add inquiries that the partner may read; return the scope of all."""
        ids = [self.sandbox.add_inquiry().id for _ in range(count)]
        scope = " ".join(f"inquiry.read:{each}" for each in ids)
        await self.grant(scope, **agreed)
        return scope

    async def grant(self, scope, *, days=30):
        until = self.clock.wall() + timedelta(days=days)
        return await self.consents.grant(self.partner, scope, until=until, by="form-7")

    def claims(self, **changes):
        """Return the claims of a valid assertion, with changes."""
        self.numbers += 1
        now = int(self.clock.wall().timestamp())
        claims = {
            "iss": self.partner,
            "sub": self.partner,
            "aud": URL,
            "jti": f"jti-{self.numbers}",
            "iat": now,
            "exp": now + 60,
        }
        changed = claims | changes
        return {name: each for name, each in changed.items() if each is not None}

    def assertion(self, key=None, header=(), **changes):
        key = key or signing_key()
        full = {"alg": key.algorithm, "typ": "JWT"} | dict(header)
        return jwt.encode(full, self.claims(**changes), key._key, [key.algorithm])

    def form(self, scope, assertion=None, **changes):
        form = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            "scope": scope,
        } | changes
        return {name: each for name, each in form.items() if each is not None}

    async def post(self, form, path="/codes", **options):
        """Send a form, or any bytes, to the issuer's ASGI application."""
        transport = httpx.ASGITransport(self.issuer.asgi())
        if isinstance(form, bytes):
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            options = {"content": form, "headers": headers} | options
        else:
            options = {"data": form} | options
        async with httpx.AsyncClient(
            transport=transport, base_url="https://source.example"
        ) as web:
            return await web.post(path, **options)

    async def ask(self, scope, **changes):
        return await self.post(self.form(scope, **changes))


@pytest_asyncio.fixture
async def harness(tmp_path):
    clock = FakeClock(START)
    runtime = fake_runtime(clock)
    async with (
        Sandbox(_clock=clock.epoch, rate_limit=None) as sandbox,
        PersonaClient(
            sandbox.source.api_key,
            base_url=sandbox.url,
            insecure_local=True,
            _runtime=runtime,
        ) as source,
    ):
        yield Harness(sandbox, clock, tmp_path, MemoryStore(runtime=runtime), source)


def error_of(response):
    """Return the status and error code of a refusal, after checking its form."""
    body = json.loads(response.content)
    assert set(body) <= {"error", "error_description", "refused"}
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, body["error"]
