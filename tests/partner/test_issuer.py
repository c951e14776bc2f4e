"""The decisions of a source organization, and their audit log."""

import asyncio
import json
from datetime import date, timedelta

import pytest

from persona_share.errors import (
    CodeRefusedError,
    ConfigurationError,
    InvalidScopeError,
    RateLimitedError,
    StoreUnavailableError,
)
from persona_share.model.scope import Scope
from persona_share.partner import AuditLog, CodeIssuer
from tests.partner.conftest import error_of, signing_key


pytestmark = pytest.mark.asyncio


async def test_a_code_is_issued_when_agreement_and_consent_allow_it(stage):
    async with stage.issuing() as issuer:
        scope = await stage.shared(2)
        code = await issuer.issue(stage.partner, scope)
    assert code.scope == Scope.parse(scope)
    assert stage.box.log.codes_issued == 1
    [line] = stage.audit()
    assert line["decision"] == "issued"
    assert line["partner"] == stage.partner
    assert line["scope"] == list(Scope.parse(scope))
    assert len(line["consent"]) == 2
    assert line["request_id"].startswith("req_")
    assert line["code"].startswith("sha256:")
    assert code.reveal() not in stage.audit_path.read_text("utf-8")


async def test_a_refusal_names_exactly_the_objects_that_are_not_shared(stage):
    async with stage.issuing() as issuer:
        agreed = await stage.shared(2)
        other = f"inquiry.read:{stage.box.add_inquiry().id}"
        with pytest.raises(CodeRefusedError) as caught:
            await issuer.issue(stage.partner, f"{agreed} {other}")
    assert caught.value.refused == Scope.parse(other)
    assert not caught.value.retryable
    assert stage.box.log.codes_issued == 0
    assert stage.audit()[0]["reason"] == "no_consent"
    assert stage.audit()[0]["refused"] == [other]


async def test_permissions_outside_of_the_agreement_are_refused_though_consented(stage):
    async with stage.issuing() as issuer:
        read = await stage.shared()
        write = read.replace("read", "write")
        unknown = "inquiry.read:inq_unknown"
        await stage.grant(write)
        with pytest.raises(CodeRefusedError) as caught:
            await issuer.issue(stage.partner, f"{read} {write} {unknown}")
    assert caught.value.refused == Scope.parse(f"{write} {unknown}")
    assert stage.audit()[0]["reason"] == "permission_not_agreed"


async def test_a_revocation_stops_the_next_code(stage):
    async with stage.issuing() as issuer:
        scope = await stage.shared()
        await issuer.issue(stage.partner, scope)
        await stage.consents.revoke(stage.partner, scope)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)
    found = [(each["decision"], each["reason"]) for each in stage.audit()]
    assert found == [("issued", "agreed"), ("refused", "consent_revoked")]


async def test_a_refusal_is_of_a_revoked_consent_until_its_end_date(stage):
    async with stage.issuing() as issuer:
        scope = await stage.shared(days=2)
        never = f"inquiry.read:{stage.box.add_inquiry().id}"
        await stage.consents.revoke(stage.partner)
        for days in (0, 2):
            stage.clock.advance(days * 86_400)
            for asked in (scope, never, f"{scope} {never}"):
                with pytest.raises(CodeRefusedError):
                    await issuer.issue(stage.partner, asked)
        await stage.grant(scope)
        await issuer.issue(stage.partner, scope)
        await stage.consents.revoke(stage.partner, scope)
        await stage.grant(scope)
        await issuer.issue(stage.partner, scope)
    assert [each["reason"] for each in stage.audit()] == [
        *("consent_revoked", "no_consent", "no_consent"),
        *["no_consent"] * 3,
        *["agreed"] * 2,
    ]


async def test_an_issuer_needs_a_store_a_path_and_agreements_only(stage):
    issuer = CodeIssuer(
        stage.source,
        agreements=[stage.agreement()],
        audit=stage.audit_path,
        store=stage.store,
    )
    async with issuer:
        scope = f"inquiry.read:{stage.box.add_inquiry().id}"
        until = stage.clock.wall() + timedelta(days=1)
        await issuer.consents.grant(stage.partner, scope, until=until, by="form-1")
        assert (await issuer.issue(stage.partner, scope)).scope == Scope.parse(scope)
    assert [each["reason"] for each in stage.audit()] == ["agreed"]


async def test_an_issuer_with_a_function_has_no_consents(stage):
    async def rule(_partner, asked):
        return asked

    with pytest.raises(ConfigurationError, match="asks a function"):
        _ = stage.new_issuer(consents=rule).consents


async def test_one_agreement_without_a_list_is_refused(stage):
    with pytest.raises(ConfigurationError, match=r"agreements=\[…\]"):
        stage.new_issuer(agreements=stage.agreement())


async def test_code_is_not_sent_when_its_consent_is_revoked_meanwhile(stage):
    scope = await stage.shared()
    answers = iter([Scope.parse(scope), Scope()])

    async def rule(partner, asked):
        assert partner == stage.partner
        return next(answers) & asked

    async with stage.issuing(consents=rule) as issuer:
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)
    assert stage.box.log.codes_issued == 1
    assert stage.audit()[0]["reason"] == "consent_revoked"
    assert stage.audit()[0]["code"] is None


async def test_a_consent_ends_at_its_date(stage):
    async with stage.issuing() as issuer:
        scope = await stage.shared(days=2)
        stage.clock.advance(2 * 86_400 - 1)
        await issuer.issue(stage.partner, scope)
        stage.clock.advance(1)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)


@pytest.mark.parametrize(
    ("days", "reason"), [(-1, "agreement_not_started"), (365, "agreement_ended")]
)
async def test_an_agreement_holds_only_between_its_dates(stage, days, reason):
    async with stage.issuing() as issuer:
        scope = await stage.shared(days=400)
        stage.clock.step_wall(days * 86_400)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)
    assert stage.audit()[0]["reason"] == reason


async def test_a_partner_without_an_agreement_gets_nothing(stage):
    async with stage.issuing() as issuer:
        with pytest.raises(CodeRefusedError):
            await issuer.issue("org_other", await stage.shared())
    assert stage.audit()[0]["reason"] == "no_agreement"


async def test_a_scope_may_not_name_more_objects_than_agreed(stage):
    async with stage.issuing(stage.agreement(max_objects=2)) as issuer:
        await issuer.issue(stage.partner, await stage.shared(2))
        with pytest.raises(InvalidScopeError):
            await issuer.issue(stage.partner, await stage.shared(3))
    assert stage.audit()[1]["reason"] == "too_many_objects"


async def test_codes_per_minute_hold_over_any_minute(stage):
    async with stage.issuing(stage.agreement(codes_per_minute=3)) as issuer:
        scope = await stage.shared()
        for _ in range(3):
            await issuer.issue(stage.partner, scope)
            stage.clock.advance(10)
        with pytest.raises(RateLimitedError) as caught:
            await issuer.issue(stage.partner, scope)
        assert caught.value.retry_after == pytest.approx(30, abs=0.1)
        stage.clock.advance(30.1)
        await issuer.issue(stage.partner, scope)
        with pytest.raises(RateLimitedError):
            await issuer.issue(stage.partner, scope)
    assert stage.box.log.codes_issued == 4


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
async def test_no_code_is_given_while_a_store_is_down(stage, which):
    scope = await stage.shared()
    store = FailingStore(stage.store)
    changes = {"store": store}
    if which == "consents":
        changes = {"consents": type(stage.consents)(store)}
    async with stage.issuing(**changes) as issuer:
        store.down = True
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(stage.partner, scope)
        if which == "consents":
            answer = await stage.ask(scope)
            assert error_of(answer) == (503, "temporarily_unavailable")
    assert stage.box.log.codes_issued == 0
    assert {each["reason"] for each in stage.audit()} == {"store_unavailable"}


async def test_no_code_is_issued_when_consents_are_lost(stage):
    async with stage.issuing() as issuer:
        scope = await stage.shared()
        async for key in stage.store.keys("consent/"):
            found = await stage.store.read(key)
            await stage.store.write(key, None, if_etag=found.etag, ttl=1)
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)


async def test_no_code_is_issued_when_consents_are_unreadable(stage):
    async with stage.issuing() as issuer:
        scope = await stage.shared()
        async for key in stage.store.keys("consent/"):
            found = await stage.store.read(key)
            await stage.store.write(key, b"{}", if_etag=found.etag, ttl=99)
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(stage.partner, scope)
    assert stage.audit()[0]["decision"] == "failed"


async def test_no_code_is_issued_when_the_consent_function_raises(stage):
    async def rule(_partner, _scope):
        raise KeyError("something private")

    async with stage.issuing(consents=rule) as issuer:
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(stage.partner, "inquiry.read:inq_1")
    assert stage.audit()[0]["reason"] == "consent_rule_failed"
    assert "private" not in stage.audit_path.read_text("utf-8")


async def test_consent_function_cannot_extend_the_request(stage):
    async def rule(_partner, _scope):
        return Scope(("inquiry.read:inq_1", "inquiry.read:inq_2"))

    async with stage.issuing(consents=rule) as issuer:
        scope = f"inquiry.read:{stage.box.add_inquiry().id}"
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)


async def test_no_code_is_given_when_the_audit_log_cannot_be_written(stage):
    folder = stage.folder / "log"
    folder.mkdir()
    audit = AuditLog(folder / "audit.jsonl")
    async with stage.issuing(audit=audit) as issuer:
        scope = await stage.shared()
        await issuer.issue(stage.partner, scope)
        (folder / "audit.jsonl").unlink()
        folder.rmdir()
        with pytest.raises(StoreUnavailableError):
            await issuer.issue(stage.partner, scope)
        answer = await stage.ask(scope)
        assert error_of(answer) == (503, "temporarily_unavailable")
        assert b"code" not in answer.content


async def test_an_issuer_does_not_start_without_an_audit_log(stage):
    audit = AuditLog(stage.folder / "nowhere" / "audit.jsonl")
    with pytest.raises(ConfigurationError):
        async with stage.issuing(audit=audit):
            pass


async def test_persona_s_refusal_of_one_object_names_it(stage):
    async with stage.issuing() as issuer:
        scope = "inquiry.read:inq_unknown"
        await stage.grant(scope)
        with pytest.raises(CodeRefusedError) as caught:
            await issuer.issue(stage.partner, scope)
    assert caught.value.refused == Scope.parse(scope)
    [line] = stage.audit()
    assert line["reason"] == "persona_refused"
    assert line["request_id"].startswith("req_")


async def test_outage_of_persona_is_not_a_refusal(stage):
    stage.box.switches.oauth_enabled = False
    async with stage.issuing():
        scope = await stage.shared()
        answer = await stage.ask(scope)
    assert error_of(answer) == (503, "temporarily_unavailable")
    assert stage.audit()[0]["reason"] == "persona_unavailable"


async def test_decision_is_logged_when_its_caller_disconnects(stage):
    async def rule(_partner, scope):
        await stage.clock.sleep(5)
        return scope

    async with stage.issuing(consents=rule) as issuer:
        scope = f"inquiry.read:{stage.box.add_inquiry().id}"
        call = asyncio.ensure_future(issuer.issue(stage.partner, scope))
        while not stage.clock.sleepers:
            await stage.clock.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while issuer._tasks:
            stage.clock.advance(5)
            await asyncio.wait(issuer._tasks, timeout=0.05)
    assert [each["decision"] for each in stage.audit()] == ["issued"]


async def test_an_agreement_of_a_file_ends_without_a_restart(stage):
    path = stage.folder / "agreements.toml"
    table = f"""
        [[agreement]]
        partner = "{stage.partner}"
        permissions = ["inquiry.read"]
        valid_from = 2026-01-01
        valid_until = 2027-01-01
        keys_file = "partner.json"
    """
    jwk = json.dumps(signing_key().public_jwk)
    (stage.folder / "partner.json").write_text(jwk, "utf-8")
    path.write_text(table, "utf-8")
    async with stage.issuing(agreements=path) as issuer:
        scope = await stage.shared()
        await issuer.issue(stage.partner, scope)
        (stage.folder / "partner.json").write_text("{}", "utf-8")
        with pytest.raises(ConfigurationError):
            await issuer.issue(stage.partner, scope)
        (stage.folder / "partner.json").write_text(jwk, "utf-8")
        await issuer.issue(stage.partner, scope)
        path.write_text("not TOML", "utf-8")
        with pytest.raises(ConfigurationError):
            await issuer.issue(stage.partner, scope)
        path.write_text("", "utf-8")
        with pytest.raises(CodeRefusedError):
            await issuer.issue(stage.partner, scope)
    reasons = [each["reason"] for each in stage.audit()]
    unreadable = "agreements_unreadable"
    assert reasons == ["agreed", unreadable, "agreed", unreadable, "no_agreement"]


async def test_repr_contains_no_secret(stage):
    key = signing_key("the source's").private_jwk()
    async with stage.issuing(key=key, organization="org_source") as issuer:
        shown = repr(issuer) + repr(vars(issuer))
    assert '"d"' not in shown
    assert stage.box.source.api_key not in shown


async def test_agreement_dates_begin_at_midnight_utc(stage):
    agreement = stage.agreement(
        valid_from=date(2026, 1, 1), valid_until=date(2026, 1, 3)
    )
    assert agreement.valid_until - agreement.valid_from == timedelta(days=2)
