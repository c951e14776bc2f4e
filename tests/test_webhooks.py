"""Deliveries become events, duplicates are detected, and forged deliveries are refused."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from persona_share import webhooks
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    SignatureError,
)
from persona_share.model.inquiry import Inquiry
from persona_share.model.secret import Secret
from persona_share.model.share_token import ShareToken
from persona_share.testing.clock import FakeClock
from persona_share.webhooks import EventName, Verifier, sign


SECRET = "wbhsec_one"
PACKAGE = Path(webhooks.__file__).parent


def delivery(name="inquiry.approved", event_id="evt_1", data=None):
    data = data or {
        "type": "inquiry",
        "id": "inq_1",
        "attributes": {"status": "approved"},
    }
    attributes = {
        "name": name,
        "created-at": "2026-01-01T00:00:00.000Z",
        "payload": {"data": data, "included": []},
        "context": {},
    }
    event = {"type": "event", "id": event_id, "attributes": attributes}
    return orjson.dumps({"data": event})


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def verifier(clock):
    return Verifier([SECRET], clock=clock)


def test_verify_returns_the_event_of_a_signed_delivery(verifier, clock):
    body = delivery()

    event = verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert event.id == "evt_1"
    assert event.name == "inquiry.approved"
    assert event.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert isinstance(event.subject, Inquiry)
    assert event.subject.status == "approved"
    assert not event.is_sharing


@pytest.mark.parametrize("name", list(EventName))
def test_event_of_sharing_is_named(verifier, clock, name):
    token = {"type": "connect/share-token", "id": "cnst_1", "attributes": {}}
    body = delivery(name.value, data=token)

    event = verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert event.name is name
    assert event.is_sharing
    assert isinstance(event.subject, ShareToken)


def test_f55_event_of_another_name_is_kept(verifier, clock):
    body = delivery("connect/share-token.brand-new")

    event = verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert event.name == "connect/share-token.brand-new"
    assert not event.name.known
    assert event.is_sharing


@pytest.mark.parametrize(
    ("body", "header", "reason"),
    [
        (delivery(), None, "missing"),
        (delivery(), "t=1", "malformed"),
        (delivery(), "t=1,v1=" + "0" * 64, "mismatch"),
    ],
)
def test_f140_refusal_has_only_its_reason(verifier, body, header, reason):
    with pytest.raises(SignatureError) as caught:
        verifier.verify(body, header)

    assert caught.value.reason == reason
    assert "evt_1" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data":null}',
        b"nonsense",
        b'{"data":{"type":"inquiry","id":"inq_1"}}',
        b'{"data":{"type":"event","id":""}}',
    ],
)
def test_signed_body_that_is_not_an_event_is_refused(verifier, clock, body):
    with pytest.raises(SignatureError) as caught:
        verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert caught.value.reason == "not_an_event"
    assert caught.value.__context__ is None


def test_f141_delayed_delivery_is_refused(verifier, clock):
    body = delivery()
    header = sign(body, SECRET, at=clock.wall())
    clock.advance(301)

    with pytest.raises(SignatureError) as caught:
        verifier.verify(body, header)
    assert caught.value.reason == "too_old"


def test_f142_delivery_has_the_index_of_the_matching_secret(clock):
    body = delivery()
    verifier = Verifier([Secret("wbhsec_old"), Secret("wbhsec_new")], clock=clock)

    held = verifier.check(body, sign(body, "wbhsec_new", at=clock.wall()))

    assert held.secret == 1
    assert held.signed_at == clock.wall()


def test_body_that_is_not_bytes_is_refused(verifier):
    with pytest.raises(InvalidArgumentError):
        verifier.verify(delivery().decode(), "t=1,v1=0")


@pytest.mark.parametrize("secrets", [[], "", [""], ["a", ""], ["a"] * 9])
def test_verifier_without_a_secret_is_refused(secrets):
    with pytest.raises(ConfigurationError):
        Verifier(secrets)


@pytest.mark.parametrize("secrets", [None, b"CANARY", ["a", b"CANARY"], 5], ids=repr)
def test_secrets_of_another_type_are_refused_and_not_shown(secrets):
    with pytest.raises(ConfigurationError, match="environment variable") as caught:
        Verifier(secrets)
    frames = [repr(each.frame.f_locals) for each in caught.traceback[1:]]
    assert "CANARY" not in f"{caught.value}{frames}"


@pytest.mark.parametrize(
    "tolerance", [0, -1, float("inf"), float("nan"), True, None, "300"], ids=repr
)
def test_verifier_with_infinite_tolerance_is_refused(tolerance):
    with pytest.raises(ConfigurationError):
        Verifier(SECRET, tolerance)


def test_verifier_shows_no_secret():
    assert repr(Verifier(SECRET)) == "<Verifier with 1 secrets>"


@pytest.mark.parametrize("file", ["webhooks.py", "_protocol/signature.py"])
def test_no_digest_is_compared_by_equality(file):
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    compared = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    }

    assert compared.isdisjoint({"mac", "digest", "expected", "secret"})
