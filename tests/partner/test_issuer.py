"""The decisions of a source organization, and their audit log."""

import asyncio
import json
from datetime import date, timedelta

import pytest

from persona_share.errors import (
    CodeRefusedError,
    ConfigurationError,
    InvalidIdError,
    InvalidScopeError,
    RateLimitedError,
    StoreUnavailableError,
)
from persona_share.model.scope import Scope
from persona_share.partner import AuditLog, CodeIssuer, PartnerCodeSource
from tests.partner.conftest import error_of, signing_key


pytestmark = pytest.mark.asyncio


async def test_code_is_issued_when_agreement_and_consent_allow_it(harness):
    async with harness.issuing() as issuer:
        scope = await harness.shared(2)
        code = await issuer.issue(harness.partner, scope)
    assert code.scope == Scope.parse(scope)
    assert harness.sandbox.log.codes_issued == 1
    [line] = harness.audit()
    assert line["decision"] == "issued"
    assert line["partner"] == harness.partner
    assert line["scope"] == list(Scope.parse(scope))
    assert len(line["consent"]) == 2
    assert line["request_id"].startswith("req_")
    assert line["code"].startswith("sha256:")
    assert code.reveal() not in harness.audit_path.read_text("utf-8")


async def test_refusal_names_exactly_the_objects_that_are_not_shared(harness):
    async with harness.issuing() as issuer:
        agreed = await harness.shared(2)
        other = f"inquiry.read:{harness.sandbox.add_inquiry().id}"
        with pytest.raises(CodeRefusedError) as caught:
            await issuer.issue(harness.partner, f"{agreed} {other}")
    assert caught.value.refused == Scope.parse(other)
    assert not caught.value.retryable
    assert harness.sandbox.log.codes_issued == 0
    assert harness.audit()[0]["reason"] == "no_consent"
    assert harness.audit()[0]["refused"] == [other]


async def test_permissions_outside_of_the_agreement_are_refused_though_consented(
    harness,
):
    async with harness.issuing() as issuer:
        read = await harness.shared()
        write = read.replace("read", "write")
        unknown = "inquiry.read:inq_unknown"
        await harness.grant(write)
        with pytest.raises(CodeRefusedError) as caught:
            await issuer.issue(harness.partner, f"{read} {write} {unknown}")
    assert caught.value.refused == Scope.parse(f"{write} {unknown}")
    assert harness.audit()[0]["reason"] == "permission_not_agreed"


async def test_revocation_stops_the_next_code(harness):
    async with harness.issuing() as issuer:
        scope = await harness.shared()
        await issuer.issue(harness.partner, scope)
        await harness.consents.revoke(harness.partner, scope)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)
    found = [(each["decision"], each["reason"]) for each in harness.audit()]
    assert found == [("issued", "agreed"), ("refused", "consent_revoked")]


async def test_refusal_is_of_a_revoked_consent_until_its_end_date(harness):
    async with harness.issuing() as issuer:
        scope = await harness.shared(days=2)
        never = f"inquiry.read:{harness.sandbox.add_inquiry().id}"
        await harness.consents.revoke(harness.partner)
        for days in (0, 2):
            harness.clock.advance(days * 86_400)
            for asked in (scope, never, f"{scope} {never}"):
                with pytest.raises(CodeRefusedError):
                    await issuer.issue(harness.partner, asked)
        await harness.grant(scope)
        await issuer.issue(harness.partner, scope)
        await harness.consents.revoke(harness.partner, scope)
        await harness.grant(scope)
        await issuer.issue(harness.partner, scope)
    assert [each["reason"] for each in harness.audit()] == [
        *("consent_revoked", "no_consent", "no_consent"),
        *["no_consent"] * 3,
        *["agreed"] * 2,
    ]


async def test_issuer_needs_a_store_a_path_and_agreements_only(harness):
    issuer = CodeIssuer(
        harness.source,
        agreements=[harness.agreement()],
        audit=harness.audit_path,
        store=harness.store,
    )
    async with issuer:
        scope = f"inquiry.read:{harness.sandbox.add_inquiry().id}"
        until = harness.clock.wall() + timedelta(days=1)
        await issuer.consents.grant(harness.partner, scope, until=until, by="form-1")
        assert (await issuer.issue(harness.partner, scope)).scope == Scope.parse(scope)
    assert [each["reason"] for each in harness.audit()] == ["agreed"]


@pytest.mark.parametrize("partner", ["org_\ud800", "", "org 1", None], ids=ascii)
async def test_partner_that_cannot_be_an_id_is_refused_and_not_logged(harness, partner):
    async with harness.issuing() as issuer:
        for call in (issuer.issue, issuer.push):
            with pytest.raises(InvalidIdError):
                await call(partner, "inquiry.read:inq_1")
        for look in (issuer.consents.allowed, issuer.consents.revoked):
            with pytest.raises(InvalidIdError):
                await look(partner or "", "inquiry.read:inq_1")
    assert harness.audit() == []


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "20", None, True], ids=repr)
async def test_timeout_that_is_no_duration_is_refused_at_once(harness, seconds):
    with pytest.raises(ConfigurationError, match="timeout must be"):
        harness.new_issuer(timeout=seconds)
    with pytest.raises(ConfigurationError, match="timeout must be"):
        PartnerCodeSource(
            "https://a.example/codes",
            client_id="org_1",
            key=signing_key(),
            timeout=seconds,
        )


async def test_issuer_with_a_function_has_no_consents(harness):
    async def rule(_partner, asked):
        return asked

    with pytest.raises(ConfigurationError, match="asks a function"):
        _ = harness.new_issuer(consents=rule).consents


async def test_one_agreement_without_a_list_is_refused(harness):
    with pytest.raises(ConfigurationError, match=r"agreements=\[…\]"):
        harness.new_issuer(agreements=harness.agreement())


async def test_code_is_not_sent_when_its_consent_is_revoked_during_the_request(harness):
    scope = await harness.shared()
    responses = iter([Scope.parse(scope), Scope()])

    async def rule(partner, asked):
        assert partner == harness.partner
        return next(responses) & asked

    async with harness.issuing(consents=rule) as issuer:
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)
    assert harness.sandbox.log.codes_issued == 1
    assert harness.audit()[0]["reason"] == "consent_revoked"
    assert harness.audit()[0]["code"] is None


async def test_consent_ends_at_its_date(harness):
    async with harness.issuing() as issuer:
        scope = await harness.shared(days=2)
        harness.clock.advance(2 * 86_400 - 1)
        await issuer.issue(harness.partner, scope)
        harness.clock.advance(1)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)


@pytest.mark.parametrize(
    ("days", "reason"), [(-1, "agreement_not_started"), (365, "agreement_ended")]
)
async def test_agreement_holds_only_between_its_dates(harness, days, reason):
    async with harness.issuing() as issuer:
        scope = await harness.shared(days=400)
        harness.clock.step_wall(days * 86_400)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)
    assert harness.audit()[0]["reason"] == reason


async def test_partner_without_an_agreement_gets_nothing(harness):
    async with harness.issuing() as issuer:
        with pytest.raises(CodeRefusedError):
            await issuer.issue("org_other", await harness.shared())
    assert harness.audit()[0]["reason"] == "no_agreement"


async def test_scope_may_not_name_more_objects_than_agreed(harness):
    async with harness.issuing(harness.agreement(max_objects=2)) as issuer:
        await issuer.issue(harness.partner, await harness.shared(2))
        with pytest.raises(InvalidScopeError):
            await issuer.issue(harness.partner, await harness.shared(3))
    assert harness.audit()[1]["reason"] == "too_many_objects"


async def test_codes_per_minute_hold_over_any_minute(harness):
    async with harness.issuing(harness.agreement(codes_per_minute=3)) as issuer:
        scope = await harness.shared()
        for _ in range(3):
            await issuer.issue(harness.partner, scope)
            harness.clock.advance(10)
        with pytest.raises(RateLimitedError) as caught:
            await issuer.issue(harness.partner, scope)
        assert caught.value.retry_after == pytest.approx(30, abs=0.1)
        harness.clock.advance(30.1)
        await issuer.issue(harness.partner, scope)
        with pytest.raises(RateLimitedError):
            await issuer.issue(harness.partner, scope)
    assert harness.sandbox.log.codes_issued == 4


class FailingStore:
    """A store that fails from some moment on."""

    def __init__(self, inner):
        self._inner = inner
        self.down = False

    def __getattr__(self, name):
        if self.down and name in ("read", "write"):
            return self._fail
        return getattr(self._inner, name)

    async def open(self): ...
    async def read(self, key):
        return await self.__getattr__("read")(key)

    async def write(self, key, value, *, if_etag, ttl):
        return await self.__getattr__("write")(key, value, if_etag=if_etag, ttl=ttl)

    def keys(self, prefix):
        return self._inner.keys(prefix)

    async def aclose(self): ...
    async def _fail(self, *_, **__):
        raise StoreUnavailableError("the store is down")


@pytest.mark.parametrize("which", ["limits", "consents"])
async def test_no_code_is_given_while_a_store_is_down(harness, which):
    scope = await harness.shared()
    store = FailingStore(harness.store)
    changes = {"store": store}
    if which == "consents":
        changes = {"consents": type(harness.consents)(store)}
    async with harness.issuing(**changes) as issuer:
        store.down = True
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(harness.partner, scope)
        if which == "consents":
            response = await harness.ask(scope)
            assert error_of(response) == (503, "temporarily_unavailable")
    assert harness.sandbox.log.codes_issued == 0
    assert {each["reason"] for each in harness.audit()} == {"store_unavailable"}


async def test_no_code_is_issued_when_consents_are_lost(harness):
    async with harness.issuing() as issuer:
        scope = await harness.shared()
        async for key in harness.store.keys("consent/"):
            found = await harness.store.read(key)
            await harness.store.write(key, None, if_etag=found.etag, ttl=1)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)


async def test_no_code_is_issued_when_consents_are_unreadable(harness):
    async with harness.issuing() as issuer:
        scope = await harness.shared()
        async for key in harness.store.keys("consent/"):
            found = await harness.store.read(key)
            await harness.store.write(key, b"{}", if_etag=found.etag, ttl=99)
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(harness.partner, scope)
    assert harness.audit()[0]["decision"] == "failed"


async def test_no_code_is_issued_when_the_consent_function_raises(harness):
    async def rule(_partner, _scope):
        raise KeyError("something private")

    async with harness.issuing(consents=rule) as issuer:
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(harness.partner, "inquiry.read:inq_1")
    assert harness.audit()[0]["reason"] == "consent_rule_failed"
    assert "private" not in harness.audit_path.read_text("utf-8")


@pytest.mark.parametrize("found", [None, "nonsense", 7], ids=repr)
async def test_result_that_is_no_scope_is_a_failure_of_the_consent_function(
    harness, found
):
    async def rule(_partner, _scope):
        return found

    async with harness.issuing(consents=rule) as issuer:
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(harness.partner, "inquiry.read:inq_1")
    assert harness.audit()[0]["reason"] == "consent_rule_failed"


async def test_consent_function_cannot_extend_the_request(harness):
    async def rule(_partner, _scope):
        return Scope(("inquiry.read:inq_1", "inquiry.read:inq_2"))

    async with harness.issuing(consents=rule) as issuer:
        scope = f"inquiry.read:{harness.sandbox.add_inquiry().id}"
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)


async def test_no_code_is_given_when_the_audit_log_cannot_be_written(harness):
    folder = harness.folder / "log"
    folder.mkdir()
    audit = AuditLog(folder / "audit.jsonl")
    async with harness.issuing(audit=audit) as issuer:
        scope = await harness.shared()
        await issuer.issue(harness.partner, scope)
        (folder / "audit.jsonl").unlink()
        folder.rmdir()
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(harness.partner, scope)
        response = await harness.ask(scope)
        assert error_of(response) == (503, "temporarily_unavailable")
        assert b"code" not in response.content


async def test_issuer_does_not_start_without_an_audit_log(harness):
    audit = AuditLog(harness.folder / "nowhere" / "audit.jsonl")
    with pytest.raises(ConfigurationError):
        async with harness.issuing(audit=audit):
            pass


async def test_persona_s_refusal_of_one_object_names_it(harness):
    async with harness.issuing() as issuer:
        scope = "inquiry.read:inq_unknown"
        await harness.grant(scope)
        with pytest.raises(CodeRefusedError) as caught:
            await issuer.issue(harness.partner, scope)
    assert caught.value.refused == Scope.parse(scope)
    [line] = harness.audit()
    assert line["reason"] == "persona_refused"
    assert line["request_id"].startswith("req_")


async def test_outage_of_persona_is_not_a_refusal(harness):
    harness.sandbox.switches.oauth_enabled = False
    async with harness.issuing():
        scope = await harness.shared()
        response = await harness.ask(scope)
    assert error_of(response) == (503, "temporarily_unavailable")
    assert harness.audit()[0]["reason"] == "persona_unavailable"


async def test_decision_is_logged_when_its_caller_disconnects(harness):
    async def rule(_partner, scope):
        await harness.clock.sleep(5)
        return scope

    async with harness.issuing(consents=rule) as issuer:
        scope = f"inquiry.read:{harness.sandbox.add_inquiry().id}"
        call = asyncio.ensure_future(issuer.issue(harness.partner, scope))
        while not harness.clock.sleepers:
            await harness.clock.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while issuer._tasks:
            harness.clock.advance(5)
            await asyncio.wait(issuer._tasks, timeout=0.05)
    assert [each["decision"] for each in harness.audit()] == ["issued"]


async def test_agreement_of_a_file_ends_without_a_restart(harness):
    path = harness.folder / "agreements.toml"
    table = f"""
        [[agreement]]
        partner = "{harness.partner}"
        permissions = ["inquiry.read"]
        valid_from = 2026-01-01
        valid_until = 2027-01-01
        keys_file = "partner.json"
    """
    jwk = json.dumps(signing_key().public_jwk)
    (harness.folder / "partner.json").write_text(jwk, "utf-8")
    path.write_text(table, "utf-8")
    async with harness.issuing(agreements=path) as issuer:
        scope = await harness.shared()
        await issuer.issue(harness.partner, scope)
        (harness.folder / "partner.json").write_text("{}", "utf-8")
        with pytest.raises(ConfigurationError):
            await issuer.issue(harness.partner, scope)
        (harness.folder / "partner.json").write_text(jwk, "utf-8")
        await issuer.issue(harness.partner, scope)
        path.write_text("not TOML", "utf-8")
        with pytest.raises(ConfigurationError):
            await issuer.issue(harness.partner, scope)
        path.write_text("", "utf-8")
        with pytest.raises(CodeRefusedError):
            await issuer.issue(harness.partner, scope)
    reasons = [each["reason"] for each in harness.audit()]
    unreadable = "agreements_unreadable"
    assert reasons == ["agreed", unreadable, "agreed", unreadable, "no_agreement"]


async def test_repr_contains_no_secret(harness):
    key = signing_key("the source's").private_jwk()
    async with harness.issuing(key=key, organization="org_source") as issuer:
        shown = repr(issuer) + repr(vars(issuer))
    assert '"d"' not in shown
    assert harness.sandbox.source.api_key not in shown


async def test_agreement_dates_begin_at_midnight_utc(harness):
    agreement = harness.agreement(
        valid_from=date(2026, 1, 1), valid_until=date(2026, 1, 3)
    )
    assert agreement.valid_until - agreement.valid_from == timedelta(days=2)
