"""A session whose token covers more than its scope: nothing else of the token is reached."""

from contextlib import suppress

import attrs
import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager, Secret
from persona_share._pipeline.authenticated import Authenticated
from persona_share.errors import (
    CodeSourceError,
    MalformedResponseError,
    ScopeNotCoveredError,
    UnexpectedContentTypeError,
)
from persona_share.model.events import CallEnded
from persona_share.session import ScopedSession
from tests.resources.conftest import one


PART = Scope.parse("account.read:act_1 account.write:act_1 inquiry.read:inq_1")
WIDE = PART | Scope.parse(
    "account.read:act_2 account.write:act_2 case.write:case_1 inquiry.read:inq_2"
    " inquiry.write:inq_1 txn.read:txn_2"
)


def path(template, *ids):
    """Return the arguments of a request to a path with placeholders."""
    names = [f"id-{number}" for number, _ in enumerate(ids)]
    params = dict(zip(names, ids, strict=True))
    return {"path": template.format(*(f"{{{name}}}" for name in names))} | {
        "path_params": params
    }


REFUSED = {
    "list": lambda s: s.inquiries.list(),
    "include": lambda s: s.inquiries.retrieve("inq_1", include=["account"]),
    "include_as_an_array": lambda s: s.request(
        "GET", "/inquiries/inq_1", query={"include[]": "account"}
    ),
    "related_objects": lambda s: s.accounts.relations("act_1", key="family"),
    "unknown_endpoint": lambda s: s.request(
        "GET", **path("/accounts/{}/inquiries", "act_1")
    ),
    "format_of_a_path": lambda s: s.request(
        "PATCH", **path("/inquiries/{}.json", "inq_1"), json={}
    ),
    "case_of_a_path": lambda s: s.request("PATCH", "/Inquiries/inq_1", json={}),
    "write_under_a_permission_that_is_not_documented": lambda s: s.inquiries.redact(
        "inq_1"
    ),
    "other_object_in_the_body": lambda s: s.accounts.add_objects("act_1", ["inq_2"]),
    "other_object_to_merge": lambda s: s.accounts.consolidate("act_1", ["act_2"]),
    "other_object_to_relate": lambda s: s.accounts.add_relation(
        "act_1", "txn_2", relation_schema_key="payments"
    ),
    "other_object_in_an_attribute": lambda s: s.accounts.update(
        "act_1", attributes={"parent": [{"id": "act_2"}]}
    ),
    "other_object_in_a_form": lambda s: s.request(
        "POST", "/accounts/act_1/add-tag", form={"ids": "x,inq_2"}
    ),
    "other_object_in_a_query": lambda s: s.request(
        "GET", "/accounts/act_1", query={"filter[ids]": ["act_1", "inq_2"]}
    ),
}
SENT = {
    "retrieve": lambda s: s.inquiries.retrieve("inq_1"),
    "fields": lambda s: s.inquiries.retrieve("inq_1", fields={"inquiry": ["status"]}),
    "read_under_a_permission_that_is_not_documented": lambda s: s.inquiries.print(
        "inq_1"
    ),
    "write": lambda s: s.accounts.update("act_1", tags=["inq_21", "act"]),
    "own_object_in_the_body": lambda s: s.accounts.add_objects("act_1", ["inq_1"]),
}


@attrs.frozen
class Token:
    """The only token of a session, and what it covers."""

    scope: Scope
    header: Secret = attrs.field(factory=lambda: Secret("Bearer token"))

    def cached(self):
        return self

    def on_success(self, authorization, route):
        pass


@pytest.fixture
def session_of(harness):
    """Return a session and its requests; the token covers ``more`` as well."""

    def made(scope, more=None):
        there = harness(one("other", "x"), scope=scope)
        sender = Authenticated(there.sender, Token(more or scope))
        caller = attrs.evolve(there.client._caller, sender=sender)
        return ScopedSession(scope, caller, str, None), there.requests

    return made


@pytest.fixture
def narrowed(session_of):
    """Return a session that is narrowed to a part, and its requests."""

    def made(part=PART, wide=WIDE):
        session, requests = session_of(wide)
        return session.narrow(part), requests

    return made


@pytest.mark.asyncio
@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
async def test_narrowed_session_refuses_calls_that_could_reach_more(narrowed, call):
    session, requests = narrowed()

    with pytest.raises(ScopeNotCoveredError):
        await call(session)
    assert requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
async def test_session_of_a_broader_grant_refuses_calls_that_could_reach_more(
    session_of, call
):
    session, requests = session_of(PART, WIDE)

    with pytest.raises(ScopeNotCoveredError):
        await call(session)
    assert requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("call", SENT.values(), ids=SENT)
async def test_narrowed_session_sends_calls_about_its_own_objects(narrowed, call):
    session, requests = narrowed()

    with suppress(MalformedResponseError, UnexpectedContentTypeError):
        await call(session)
    assert len(requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("call", {**REFUSED, **SENT}.values(), ids={**REFUSED, **SENT})
async def test_session_of_exactly_its_scope_leaves_these_calls_to_the_service(
    narrowed, call
):
    session, requests = narrowed(WIDE)

    with suppress(MalformedResponseError, UnexpectedContentTypeError):
        await call(session)
    assert len(requests) == 1


@pytest.mark.asyncio
async def test_permission_on_every_object_is_withheld_from_a_narrowed_session(narrowed):
    session, requests = narrowed(PART, Scope.parse(f"{PART} inquiry.read txn.read"))

    for other in ("inq_9", "txn_9"):
        with pytest.raises(ScopeNotCoveredError):
            await session.accounts.add_objects("act_1", [other])
    assert requests == []
    with suppress(MalformedResponseError):
        await session.accounts.add_objects("act_1", ["inq_1"])
    assert len(requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("version", "target"),
    [
        ("2023-01-05", "/inquiries/inq_1?include="),
        ("2025-10-27", "/inquiries/inq_1"),
    ],
)
async def test_narrowed_session_gets_no_related_objects_in_old_versions(
    narrowed, version, target
):
    session, requests = narrowed()

    with suppress(MalformedResponseError):
        await session.inquiries.retrieve("inq_1", persona_version=version)
    assert [each.target for each in requests] == [target]


@pytest.mark.asyncio
async def test_session_can_be_narrowed_to_as_many_objects_as_a_scope_can_name(narrowed):
    many = Scope.of("account.write", *(f"act_{number}" for number in range(256)))
    session, requests = narrowed(many, Scope.of("account.write"))

    with suppress(MalformedResponseError):
        await session.accounts.add_tag("act_1", "seen")
    assert len(requests) == 1


@pytest.mark.asyncio
async def test_narrowed_session_prints_a_pdf_in_old_versions(narrowed):
    session, requests = narrowed()

    with suppress(UnexpectedContentTypeError):
        await session.inquiries.print("inq_1", persona_version="2023-01-05")
    assert [each.target for each in requests] == ["/inquiries/inq_1/print"]


@pytest.mark.asyncio
async def test_broader_grant_of_the_service_reaches_no_other_object(scenario):
    mine, other = (scenario.sandbox.add_account() for _ in range(2))
    scope, both = Scope.write(mine.id), Scope.write(mine.id, other.id)
    scenario.sandbox.switches.grants = lambda _: str(both)
    async with scenario.manager() as manager:
        session = manager.session(scope)
        with pytest.raises(ScopeNotCoveredError):
            await session.accounts.consolidate(mine.id, [other.id])
        assert (await session.accounts.add_tag(mine.id, "seen")).id == mine.id


@pytest.mark.asyncio
async def test_timeout_of_a_call_includes_the_check_for_a_broader_grant(scenario):
    async def slow(scope):
        await scenario.clock.sleep(50)
        return await scenario.ask_partner(scope)

    async with scenario.manager(codes=slow) as manager:
        began = scenario.clock.now()
        with pytest.raises(TimeoutError):
            await scenario.advance_until_done(
                manager.session(PART).inquiries.list(timeout=2)
            )
        assert scenario.clock.now() - began <= 3


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["noinclude", "fields[include]", "include-"])
async def test_no_other_parameter_counts_as_an_empty_include(narrowed, name):
    session, requests = narrowed()

    with suppress(MalformedResponseError):
        await session.request(
            "GET", "/inquiries/inq_1", query={name: ""}, persona_version="2023-01-05"
        )
    assert [each.target[-9:] for each in requests] == ["&include="]


@pytest.mark.asyncio
async def test_call_that_gets_no_token_is_reported_with_any_parameters(scenario):
    found = []
    options = {"base_url": scenario.sandbox.url, "insecure_local": True}
    key = scenario.sandbox.destination.api_key

    async def codes(_):
        raise RuntimeError

    async with (
        PersonaClient(key, hooks=[found.append], **options) as client,
        ScopedTokenManager(client, codes=codes) as manager,
    ):
        session = manager.session("account.write:act_1 account.read:act_1")
        for call in (
            session.accounts.retrieve("act_1"),
            session.accounts.retrieve("act_1", fields={"account": ["tags"]}),
            session.accounts.update("act_1", tags=["new"]),
        ):
            with pytest.raises(CodeSourceError):
                await call
    ended = [each.operation for each in found if isinstance(each, CallEnded)]
    assert ended == [
        "GET /accounts/{account-id}",
        "GET /accounts/{account-id}",
        "PATCH /accounts/{account-id}",
    ]
