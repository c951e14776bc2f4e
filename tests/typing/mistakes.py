# pyright: basic, reportUnnecessaryTypeIgnoreComment=true
"""Plausible mistakes that mypy and pyright refuse; nothing here is ever run.

Each line is one mistake. An ignore that is not needed fails both type checkers.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from persona_share import (
    PersonaClient,
    RateLimitPolicy,
    RenewalPolicy,
    Scope,
    ScopedSession,
    ScopedTokenManager,
)
from persona_share.integrations.aiohttp import setup
from persona_share.integrations.aiohttp_client import ScopedTokens
from persona_share.integrations.health import health_of
from persona_share.integrations.httpx import ScopedAuth
from persona_share.integrations.starlette import Persona, verified
from persona_share.model.inquiry import Inquiry
from persona_share.model.verification import Verification
from persona_share.partner import (
    AuditLog,
    CodeInbox,
    CodeIssuer,
    Consents,
    PartnerCodeSource,
)
from persona_share.stores import MemoryStore, SharedRateLimit, SQLiteStore, Store
from persona_share.webhooks import ReplayGuard, Verifier


def sync_code_source(scope: Scope) -> str:
    """Return a code without being a coroutine function."""
    return str(scope)


async def code_source(scope: Scope) -> str:
    """Return a code."""
    return str(scope)


def sync_rule(request: object) -> bool:
    """Decide without being a coroutine function."""
    return bool(request)


@asynccontextmanager
async def sharing() -> AsyncIterator[ScopedTokenManager]:
    """Yield a manager."""
    async with PersonaClient("key") as client, ScopedTokenManager(client) as manager:
        yield manager


async def clients() -> None:
    """Options of clients."""
    PersonaClient("key", base_ulr="https://api.withpersona.com/api/v1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PersonaClient("key", hooks=print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PersonaClient("key", timeout="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PersonaClient("key", rate_limit="gaet")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PersonaClient.from_env(persona_verison="2025-12-08")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PersonaClient.from_env(retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def managers(client: PersonaClient) -> None:
    """Options of token managers."""
    ScopedTokenManager("key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScopedTokenManager(client, codes="code")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScopedTokenManager(client, codes=sync_code_source)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScopedTokenManager(client, codes=code_source, store="tokens.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScopedTokenManager(client, codes=code_source, on_store_failure="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def options(client: PersonaClient) -> None:
    """Options of everything else that one makes."""
    PersonaClient("key", check_identity="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PersonaClient("key", insecure_local=8080)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RateLimitPolicy(mode="gate")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RateLimitPolicy(max_wait="2 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RenewalPolicy(lead=60)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ScopedTokenManager(client, renewal={"accept_broader": True})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SharedRateLimit("redis://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SQLiteStore(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ReplayGuard("webhooks.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ReplayGuard(MemoryStore(), on_store_failure="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Verifier("secret", guard=MemoryStore())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def webs(manager: ScopedTokenManager, verifier: Verifier) -> None:
    """Web applications and foreign clients."""
    Persona(manager)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Persona(sharing).install("app")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    setup(web.Application(), manager)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScopedAuth(Scope.read("inq_1"), manager)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScopedTokens(manager, ["inq_1"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    verified("secret")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = health_of(manager).problem  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def partners(
    client: PersonaClient, rule: Consents, log: AuditLog, store: Store
) -> None:
    """Both sides of the partner protocol."""
    CodeIssuer("key", agreements="a.toml", consents=rule, audit=log, store=store)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CodeIssuer(client, agreements="a.toml", consents=rule, audit=print, store=store)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CodeIssuer(client, agreements="a.toml", consents=sync_rule, audit=log, store=store)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CodeIssuer(client, agreements="a.toml", consents=rule, audit=log)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PartnerCodeSource("https://partner.example/codes", key=Path("partner.key"))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await rule.grant("org_1", "inquiry.read:inq_1", until="tomorrow", by="form")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await rule.revoke("org_1", ["inquiry.read:inq_1"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    CodeInbox("manager", sources={}, url="https://inbox.example/inbox")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def calls(client: PersonaClient, session: ScopedSession) -> None:
    """Arguments and options of calls."""
    _ = client.inquiries.list(status="done")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = client.share_tokens.list(direction="in")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.inquiries.retrieve("inq_1", fields=["status"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.inquiries.retrieve("inq_1", includes=["account"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.inquiries.create(template="itmpl_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.webhooks.create(name="a webhook", url="https://example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    job = client.batch_jobs
    await job.create([{}], operation="put", object="account", lookup_field="token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.share_tokens.wait("cnst_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await session.oauth.authorize(client_id="org_1", scope="inquiry.read:inq_1")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def results(client: PersonaClient) -> None:
    """Results of calls."""
    found: Verification = await client.inquiries.retrieve("inq_1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _ = found.birthdate  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    inquiry: Inquiry = client.inquiries.retrieve("inq_1")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _ = inquiry.status.value  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    for each in client.inquiries.list():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        _ = each
    text: str = (await client.inquiries.resume("inq_1")).session_token  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    Verifier("secret").verify("body", text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
