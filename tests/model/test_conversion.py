"""Dictionaries and pickles of objects contain no secrets."""

import copy
import json
import pickle

import pytest

from persona_share._protocol import jsonapi
from persona_share._protocol.http import Request, Response
from persona_share._protocol.query import ListLocation
from persona_share.errors import MalformedResponseError
from persona_share.model.inquiry import Inquiry
from persona_share.model.resource import Resource
from persona_share.model.response import ApiResponse
from persona_share.model.verification import GovernmentIdVerification
from persona_share.model.webhook import Event
from persona_share.resources.share_tokens import ShareToken


SIGNED_URL = "https://files.withpersona.com/front.png?access_token=CANARY"
REQUEST = Request(
    method="GET", route="/inquiries/{inquiry-id}", target="/x", deadline=0.0
)
FIELDS = {
    "name_first": {"type": "string", "value": "Ann"},
    "photo": {"type": "file", "value": {"filename": "a.png", "url": SIGNED_URL}},
    "secret": {"type": "string", "value": "of the person"},
}
INQUIRY = {
    "type": "inquiry",
    "id": "inq_1",
    "attributes": {
        "status": "approved",
        "created-at": "2026-01-02T03:04:05.000Z",
        "tags": ["vip"],
        "brand-new": {"a-b": [1]},
        "fields": FIELDS,
    },
    "relationships": {
        "account": {"data": {"type": "account", "id": "act_1"}},
        "verifications": {
            "data": [{"type": "verification/government-id", "id": "ver_1"}]
        },
    },
}
VERIFICATION = {
    "type": "verification/government-id",
    "id": "ver_1",
    "attributes": {
        "birthdate": "2000-01-02",
        "issue-date": "",
        "front-photo-url": SIGNED_URL,
        "checks": [{"name": "id_expired", "status": "passed", "reasons": []}],
    },
}
BODY = {
    "data": INQUIRY,
    "included": [VERIFICATION, {"type": "account"}],
    "meta": {"session-token": "CANARY", "one-time-link": "https://x/CANARY"},
}


def response(body):
    headers = {"request-id": "req_1", "ratelimit-remaining": "299"}
    return Response(status=200, headers=headers, body=json.dumps(body).encode())


@pytest.fixture
def inquiry():
    return jsonapi.one(REQUEST, response(BODY), Inquiry, "inq_1")


@pytest.fixture
def page():
    body = {**BODY, "data": [INQUIRY], "links": {"next": None, "prev": None}}
    location = ListLocation("https://api.withpersona.com/api/v1", "/inquiries")
    return jsonapi.page(REQUEST, response(body), Inquiry, location)


def test_to_dict_has_python_names_and_json_types(inquiry):
    found = inquiry.to_dict()

    assert json.loads(json.dumps(found)) == found
    assert (found["type"], found["id"]) == ("inquiry", "inq_1")
    assert found["status"] == "approved"
    assert found["created_at"] == "2026-01-02T03:04:05+00:00"
    assert found["tags"] == ["vip"]
    assert found["completed_at"] is None
    assert found["account"] == {"type": "account", "id": "act_1"}
    assert found["values"]["name_first"] == "Ann"
    assert found["fields"]["name_first"] == {"type": "string", "value": "Ann"}


def test_to_dict_contains_unknown_attributes(inquiry):
    assert inquiry.to_dict()["brand_new"] == {"a-b": [1]}


def test_to_dict_masks_secrets(inquiry):
    (verification,) = inquiry.related("verifications")

    assert verification.to_dict()["front_photo_url"] == "<masked>"
    assert "CANARY" not in json.dumps([inquiry.to_dict(), verification.to_dict()])


def read(type_name, attributes):
    raw = {"type": type_name, "id": "x_1", "attributes": attributes}
    return jsonapi.one(REQUEST, response({"data": raw}), Resource, "x_1")


@pytest.mark.parametrize(
    ("type_name", "attributes", "key"),
    [
        ("webhook", {"secret": "CANARY"}, "secret"),
        ("webhook", {"custom-http-headers": {"X": "CANARY"}}, "custom_http_headers"),
        ("brand-new", {"access-token": "CANARY"}, "access_token"),
        ("brand-new", {"sessionToken": "CANARY"}, "session_token"),
        ("api-key", {"value": ["CANARY"]}, "value"),
        (
            "verification/email-address",
            {"confirmationCode": "CANARY"},
            "confirmation_code",
        ),
        (
            "verification/email-address",
            {"confirmation-code": {"code": "CANARY"}},
            "confirmation_code",
        ),
    ],
)
def test_to_dict_masks_a_secret_that_is_not_read_as_one(type_name, attributes, key):
    found = read(type_name, attributes).to_dict()

    assert found[key] == "<masked>"
    assert "CANARY" not in json.dumps(found)


def test_to_dict_masks_secrets_within_the_payload_of_an_event():
    inner = {"session-token": "CANARY", "fields": {"secret": "of the person"}}
    payload = {"data": {"type": "inquiry-session", "id": "x_1", "attributes": inner}}

    found = read("event", {"payload": payload}).to_dict()["payload"]

    assert found["data"]["attributes"] == {
        "session-token": "<masked>",
        "fields": {"secret": "of the person"},
    }


def test_to_dict_has_each_attribute_once_when_names_are_in_camel_case():
    sent = {"referenceId": "r", "brandNew": 1, "oddName_2B": 2}

    found = read("inquiry", sent).to_dict()

    assert found["reference_id"] == "r"
    assert found["brand_new"] == 1
    assert found["oddName_2B"] == 2
    assert not {"referenceId", "brandNew"} & set(found)


def test_to_dict_contains_values_of_unexpected_types():
    body = {"data": {**INQUIRY, "attributes": {"created-at": 7}}}
    inquiry = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    assert inquiry.to_dict()["created_at"] == 7


def test_dict_of_an_object_is_to_dict(inquiry):
    assert dict(inquiry) == inquiry.to_dict()
    assert {**inquiry}["status"] == "approved"
    with pytest.raises(KeyError):
        inquiry["nothing_of_that_name"]


def test_page_becomes_a_dictionary_of_its_items(page):
    assert page.to_dict() == {
        "items": [page.items[0].to_dict()],
        "after": None,
        "before": None,
    }
    assert dict(page) == page.to_dict()
    assert page[0] is page.items[0]


@pytest.mark.parametrize("name", ["name_first", "name-first", "nameFirst"])
@pytest.mark.parametrize("asked", ["name_first", "name-first"])
def test_field_values_are_found_in_either_spelling(name, asked):
    body = {"data": {**INQUIRY, "attributes": {"fields": {name: {"value": "Ann"}}}}}
    values = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1").values

    assert values[asked] == "Ann"
    assert values.get(asked) == "Ann"
    assert asked in values
    assert list(values) == [name]
    assert values.get("name_last") is None
    assert values.get("name_last", "") == ""
    assert "name_last" not in values
    with pytest.raises(KeyError):
        values["name_last"]
    assert "Ann" not in repr(values)
    assert json.loads(json.dumps(values)) == {name: "Ann"}


def test_former_name_of_the_response_info_warns(inquiry):
    with pytest.warns(DeprecationWarning, match="use .response_info"):
        assert inquiry.answer is inquiry.response_info


def test_pickled_object_has_everything_except_secrets(inquiry):
    assert inquiry.session_token.reveal() == "CANARY"

    pickled = pickle.dumps(inquiry)
    found = pickle.loads(pickled)  # noqa: S301 — our own

    assert b"CANARY" not in pickled
    assert type(found) is Inquiry
    assert found.status == "approved"
    assert found.created_at == inquiry.created_at
    assert found.values["name_first"] == "Ann"
    assert found.values["secret"] == "of the person"
    assert found.session_token is None
    assert found.response_info.request_id == "req_1"
    assert found.response_info.headers["RateLimit-Remaining"] == "299"
    (verification,) = found.related("verifications")
    assert isinstance(verification, GovernmentIdVerification)
    assert verification.birthdate.year == 2000
    assert verification.front_photo_url is None
    assert pickle.loads(pickle.dumps(verification)).id == "ver_1"  # noqa: S301


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copy_is_the_object_itself(inquiry, duplicate):
    assert duplicate(inquiry) is inquiry


def test_page_and_a_response_can_be_pickled(page):
    whole = jsonapi.document(REQUEST, response(BODY))

    pickled = pickle.dumps([page, whole])
    found_page, found_whole = pickle.loads(pickled)  # noqa: S301

    assert b"CANARY" not in pickled
    assert [each.id for each in found_page] == ["inq_1"]
    assert found_page.after is None
    assert isinstance(found_whole, ApiResponse)
    assert found_whole.data.status == "approved"


@pytest.mark.parametrize("name", ["code", "access-token", "accessToken"])
def test_response_of_oauth_is_pickled_without_its_secret(name):
    response = ApiResponse(raw={name: "CANARY", "expires-in": 599})

    pickled = pickle.dumps(response)

    assert b"CANARY" not in pickled
    assert pickle.loads(pickled).raw == {"expires-in": 599}  # noqa: S301


def test_subject_of_an_event_can_be_pickled():
    payload = {"data": INQUIRY, "included": [VERIFICATION]}
    event = {"type": "event", "id": "evt_1", "attributes": {"payload": payload}}
    subject = jsonapi.one(REQUEST, response({"data": event}), Event, "evt_1").subject

    found = pickle.loads(pickle.dumps(subject))  # noqa: S301

    assert found.related("verifications")[0].id == "ver_1"


def test_dir_lists_public_attributes(inquiry):
    public = {name for name in dir(inquiry) if not name.startswith("_")}
    others = public - set(inquiry.to_dict())

    assert others == {
        "answer",
        "attributes",
        "files",
        "get",
        "included",
        "keys",
        "meta",
        "raw",
        "read",
        "reference",
        "references",
        "related",
        "relationships",
        "response_info",
        "to_dict",
    }


@pytest.mark.parametrize("name", ["ratelimit-remaining", "RateLimit-Remaining"])
def test_headers_of_a_response_are_read_in_any_case(inquiry, page, name):
    for found in (inquiry.response_info, page.response_info):
        assert found.headers[name] == "299"
        assert found.headers.get(name) == "299"
        assert name in found.headers
        assert found.headers.get("X-Missing") is None
        assert "299" not in repr(found)


def test_empty_text_instead_of_a_date_is_none(inquiry):
    (verification,) = inquiry.related("verifications")

    assert verification.issue_date is None


def test_computed_names_of_a_share_token_are_in_its_dictionary():
    raw = {
        "type": "connect/share-token",
        "id": "cnst_1",
        "attributes": {"status": "created"},
        "relationships": {"source": {"data": {"type": "inquiry", "id": "inq_1"}}},
    }

    found = jsonapi.one(REQUEST, response({"data": raw}), ShareToken, "cnst_1")

    assert found.to_dict()["source_id"] == "inq_1"
    assert isinstance(found, Resource)


BROKEN = [
    {"relationships": {"account": {"data": {"type": "account", "id": ["x"]}}}},
    {"relationships": {"account": {"data": {"type": {}, "id": "act_1"}}}},
    {"relationships": {"account": {"data": "act_1"}}},
    {"relationships": [1]},
    {"attributes": {"fields": ["x"]}},
    {"attributes": {"fields": 7}},
    {"attributes": 7},
    {"attributes": "text"},
    {"attributes": [["x"]]},
]


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_object_with_a_broken_part_still_has_a_dictionary_and_a_pickle(broken):
    body = {"data": {"type": "inquiry", "id": "inq_1", **broken}, "included": [1]}
    inquiry = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    for found in (inquiry, pickle.loads(pickle.dumps(inquiry))):  # noqa: S301
        assert json.loads(json.dumps(found.to_dict()))["id"] == "inq_1"


@pytest.mark.parametrize("broken", BROKEN[:3], ids=repr)
def test_broken_reference_is_named_when_it_is_asked_for(broken):
    body = {"data": {"type": "inquiry", "id": "inq_1", **broken}}
    inquiry = jsonapi.one(REQUEST, response(body), Inquiry, "inq_1")

    with pytest.raises(MalformedResponseError, match="account"):
        inquiry.related("account")
    with pytest.raises(MalformedResponseError, match="account"):
        _ = inquiry.account
