"""Single values for tests that need no sandbox."""

from datetime import UTC, datetime

import pytest

from persona_share import Scope
from persona_share.errors import SignatureError
from persona_share.model.api_key import RateLimit
from persona_share.model.inquiry import Inquiry, InquiryStatus
from persona_share.model.resource import Resource
from persona_share.model.verification import Verification
from persona_share.testing import (
    FakeClock,
    access_token,
    authorization_code,
    delivery,
    resource,
    response,
)
from persona_share.webhooks import Verifier


MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_object_has_its_class_its_type_and_typed_attributes():
    inquiry = resource(Inquiry, "inq_1", status="completed", created_at=MOMENT)
    assert type(inquiry) is Inquiry
    assert inquiry.type == "inquiry"
    assert inquiry.status is InquiryStatus.COMPLETED
    assert inquiry.created_at == MOMENT


def test_base_class_is_created_unchanged():
    assert type(resource(Verification, "ver_1")) is Verification
    assert resource(RateLimit, "").id == ""


def test_class_that_no_type_has_is_refused():
    class Theirs(Resource):
        pass

    with pytest.raises(TypeError, match="Theirs"):
        resource(Theirs, "x_1")


def test_token_uses_the_given_clock():
    clock = FakeClock()
    token = access_token("inquiry.read:inq_1", lifetime=60, clock=clock)
    clock.advance(20)
    assert token.expires_in.total_seconds() == 40
    assert token.scope == Scope.read("inq_1")


def test_code_has_its_scope():
    code = authorization_code("inquiry.read:inq_1", expires_at=MOMENT)
    assert code.scope == Scope.read("inq_1")
    assert code.expires_at == MOMENT


def test_delivery_is_signed_and_has_its_subject():
    inquiry = resource(Inquiry, "inq_1", status="completed")
    body, signature = delivery("inquiry.completed", inquiry, "a secret")
    event = Verifier("a secret").verify(body, signature)
    assert event.name == "inquiry.completed"
    assert isinstance(event.subject, Inquiry)
    assert event.subject.id == "inq_1"
    with pytest.raises(SignatureError):
        Verifier("another secret").verify(body, signature)


def test_response_has_a_json_body():
    not_found = response(404, {"errors": []}, {"request-id": "req_1"})
    assert (not_found.status, not_found.body) == (404, b'{"errors":[]}')
    assert not_found.headers["request-id"] == "req_1"
    assert response().body == b""
