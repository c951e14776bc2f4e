"""Type checks of the public API; this module is never run."""

from typing import assert_type

import persona_share
from persona_share import (
    AccessToken,
    AuthorizationCode,
    Failed,
    Fetched,
    PersonaClient,
    PersonaError,
    Scope,
    ScopedSession,
    ScopedTokenManager,
    Secret,
)
from persona_share.batch import Batch, Plan, Progress, Report
from persona_share.model.inquiry import Inquiry
from persona_share.model.resource import Resource
from persona_share.model.response import ApiResponse
from persona_share.model.verification import Verification


async def the_source_authorizes(source: PersonaClient, scope: Scope) -> None:
    """A code is a secret of its own kind."""
    code = await source.oauth.authorize(client_id="org_partner", scope=scope)
    assert_type(code, AuthorizationCode)
    assert_type(code.reveal(), str)


async def the_destination_reads(client: PersonaClient) -> None:
    """Every step from the client to an object has its type."""

    async def ask_partner(scope: Scope) -> str | AuthorizationCode:
        return str(scope)

    async with ScopedTokenManager(client, codes=ask_partner) as manager:
        assert_type(manager, ScopedTokenManager)
        session = manager.session("inquiry.read:inq_1")
        assert_type(session, ScopedSession)
        assert_type(session.scope, Scope)
        assert_type(session.narrow(session.scope), ScopedSession)
        assert_type(session.covers("inquiry.read", "inq_1"), bool)
        assert_type(await session.inquiries.retrieve("inq_1"), Inquiry)
        assert_type(await session.verifications.retrieve("ver_1"), Verification)
        assert_type(await session.request("GET", "/accounts/act_1"), ApiResponse)
        assert_type(await manager.token(session.scope), AccessToken)
        assert_type(manager.peek(session.scope), AccessToken | None)
        assert_type(await manager.exchange("a code"), Scope)
        manager.invalidate(await manager.token(session.scope))


async def a_batch_has_two_kinds_of_outcomes(
    client: PersonaClient, manager: ScopedTokenManager, session: ScopedSession
) -> None:
    """Outcomes are distinguished by their class."""
    assert_type(client.fetch(["inq_1"]), Batch[Resource])
    assert_type(client.fetch(["inq_1"], Inquiry), Batch[Inquiry])
    assert_type(manager.fetch(["inq_1"], permission="inquiry.read"), Batch[Resource])
    async with session.fetch(concurrency=8, checkpoint="done") as batch:
        async for each in batch:
            if isinstance(each, Failed):
                assert_type(each.error, PersonaError)
            else:
                assert_type(each, Fetched[Resource])
                assert_type(each.resource, Resource)
    assert_type(batch.plan(), Plan)
    assert_type(batch.progress(), Progress)
    assert_type(batch.report(), Report)


def scopes_combine_into_scopes(one: Scope, other: Scope) -> None:
    """The algebra stays within scopes."""
    assert_type(Scope.parse("inquiry.read:inq_1"), Scope)
    assert_type(Scope.read("inq_1", "ver_9"), Scope)
    assert_type(one | other, Scope)
    assert_type(one & other, Scope)
    assert_type(one - other, Scope)
    assert_type(one <= other, bool)
    assert_type(str(one), str)


def secrets_come_out_in_one_way(secret: Secret) -> None:
    """A secret is not a text until it is revealed."""
    text: str = secret  # type: ignore[assignment]  # that it is refused is the point
    assert_type(text, str)


def errors_are_facts(error: PersonaError) -> None:
    """Attributes of errors have types."""
    assert_type(error.status, int | None)
    assert_type(error.retry_after, float | None)
    assert_type(error.request_id, str | None)


def unknown_names_are_refused() -> None:
    """Laziness does not make every name valid."""
    _ = persona_share.refresh_token  # type: ignore[attr-defined]  # there is none
    assert_type(persona_share.__version__, str)
