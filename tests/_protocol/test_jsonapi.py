"""A response is a document, one object, or a page; others are refused."""

import orjson
import pytest

from persona_share._protocol import jsonapi
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.jsonapi import kind_of
from persona_share.errors import MalformedResponseError
from persona_share.model.inquiry import Inquiry
from persona_share.model.resource import Reference, Resource


REQUEST = Request(
    method="GET", route="/inquiries/{inquiry-id}", target="/inquiries/inq_1", deadline=0
)
INQUIRY = {"type": "inquiry", "id": "inq_1", "attributes": {"status": "approved"}}


def response(value, status=200):
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    headers = {"request-id": "req_1", "persona-organization-id": "org_1"}
    return Response(status=status, headers=headers, body=body)


def test_object_has_the_facts_of_its_response():
    found = jsonapi.one(REQUEST, response({"data": INQUIRY}), Inquiry, "inq_1")

    assert found.status == "approved"
    assert found.response_info.request_id == "req_1"
    assert found.response_info.organization_id == "org_1"
    assert found.response_info.environment_id is None
    assert found.raw == INQUIRY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        {"data": None},
        {"data": [INQUIRY]},
        {"data": "inq_1"},
        {"data": {"id": "inq_1"}},
        {"data": {"type": "inquiry"}},
        {"data": {"type": 1, "id": "inq_1"}},
        {"data": {"type": ["inquiry"], "id": "inq_1"}},
        {"data": {"type": "inquiry", "id": None}},
        {"data": {**INQUIRY, "id": "inq_2"}},
        {"data": {**INQUIRY, "type": "account"}},
        {"data": {**INQUIRY, "type": "brand-new"}},
        {"errors": []},
    ],
)
def test_f57_other_object_than_requested_is_refused(body):
    with pytest.raises(MalformedResponseError) as caught:
        jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    assert caught.value.request_id == "req_1"
    assert caught.value.operation == "GET /inquiries/{inquiry-id}"


def test_document_has_one_object_several_or_none():
    one = jsonapi.document(REQUEST, response({"data": INQUIRY}))
    several = jsonapi.document(REQUEST, response({"data": [INQUIRY], "links": {}}))
    none = jsonapi.document(REQUEST, response({"data": None}))
    empty = jsonapi.document(REQUEST, response(b"", 204))

    assert isinstance(one.data, Inquiry)
    assert [each.id for each in several.data] == ["inq_1"]
    assert none.data is None
    assert (empty.data, empty.status) == (None, 204)


def test_pdf_is_content():
    request = Request(
        method="GET", route="/x", target="/x", deadline=0, expects=Expects.PDF
    )

    assert jsonapi.document(request, response(b"%PDF-1.7")).content == b"%PDF-1.7"


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "account"},
        {"id": "act_1"},
        {"type": "account", "id": None},
        {"type": ["account"], "id": "act_1"},
        {"type": 7, "id": "act_1"},
        None,
        "act_1",
        [],
    ],
)
def test_broken_included_object_is_left_out(broken):
    session = {"type": "inquiry-session", "id": "iqse_1"}
    body = {"data": INQUIRY, "included": [broken, session]}

    found = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    assert [each.id for each in found.included.values()] == ["iqse_1"]
    assert ("inquiry-session", "iqse_1") in found.included
    with pytest.raises(KeyError):
        found.included["report", "rep_1"]


@pytest.mark.parametrize(
    "broken", [{"type": "account"}, {"id": "act_1"}, {"type": 7, "id": "act_1"}]
)
def test_invalid_included_object_raises_on_lookup(broken):
    account = {"data": {"type": "account", "id": "act_1"}}
    inquiry = {**INQUIRY, "relationships": {"account": account}}
    body = {"data": inquiry, "included": [broken]}

    found = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    with pytest.raises(MalformedResponseError) as caught:
        found.related("account")
    assert caught.value.request_id == "req_1"
    with pytest.raises(MalformedResponseError):
        found.included["account", "act_1"]


def test_included_objects_are_found_by_type_and_id():
    account = {"type": "account", "id": "act_1", "attributes": {}}
    body = {"data": INQUIRY, "included": [account]}

    found = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    assert list(found.included) == [Reference("account", "act_1")]
    assert found.included[Reference("account", "act_1")].id == "act_1"
    assert repr(found.included) == "<Included of 1>"


@pytest.mark.parametrize(
    ("type_name", "class_name"),
    [
        ("inquiry", "Inquiry"),
        ("verification/government-id", "GovernmentIdVerification"),
        ("verification/brand-new", "Verification"),
        ("report/watchlist", "Report"),
        ("document/generic", "GenericDocument"),
        ("rate-limit/api", "RateLimit"),
        ("connect/share-token", "ShareToken"),
        ("connect/brand-new", "Resource"),
        ("brand-new", "Resource"),
        ("", "Resource"),
    ],
)
def test_type_is_of_its_own_class_or_of_its_familys(type_name, class_name):
    assert kind_of(type_name).__name__ == class_name
    assert issubclass(kind_of(type_name), Resource)
