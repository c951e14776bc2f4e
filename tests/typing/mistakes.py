# pyright: basic, reportUnnecessaryTypeIgnoreComment=true
"""Plausible mistakes that mypy and pyright refuse; nothing here is ever run.

Each line is one mistake. An ignore that is not needed fails both type checkers.
"""

from persona_share import PersonaClient, Scope, ScopedSession, ScopedTokenManager
from persona_share.model.inquiry import Inquiry
from persona_share.model.verification import Verification
from persona_share.webhooks import Verifier


def sync_code_source(scope: Scope) -> str:
    """Return a code without being a coroutine function."""
    return str(scope)


async def code_source(scope: Scope) -> str:
    """Return a code."""
    return str(scope)


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
