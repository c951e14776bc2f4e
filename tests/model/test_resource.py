"""Objects decode attributes when they are read, and show no personal data."""

from datetime import UTC, date, datetime

import attrs
import pytest

from persona_share._protocol.jsonapi import resource
from persona_share.errors import MalformedResponseError
from persona_share.model.inquiry import Inquiry, InquiryStatus
from persona_share.model.resource import Reference, Resource, ResponseInfo
from persona_share.model.secret import Secret
from persona_share.model.share_token import ShareToken, ShareTokenStatus
from persona_share.model.verification import CheckStatus


FACTS = ResponseInfo({"request-id": "req_1", "ratelimit-remaining": "299"})


def made(kind, attributes=None, relationships=None, object_id="x_1"):
    raw = {"type": kind, "id": object_id, "attributes": attributes or {}}
    if relationships is not None:
        raw["relationships"] = relationships
    return resource(raw, FACTS)


def test_common_attributes_have_types():
    inquiry = made(
        "inquiry",
        {
            "status": "approved",
            "created-at": "2026-01-02T03:04:05.678Z",
            "tags": ["a", None, "b"],
            "note": None,
        },
    )

    assert isinstance(inquiry, Inquiry)
    assert inquiry.status is InquiryStatus.APPROVED
    assert inquiry.created_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert inquiry.tags == ("a", "b")
    assert inquiry.note is None
    assert inquiry.completed_at is None


@pytest.mark.parametrize("name", ["created-at", "created_at", "createdAt"])
def test_f53_three_casings_are_one_attribute(name):
    moment = "2026-01-02T03:04:05.000Z"

    assert made("inquiry", {name: moment}).created_at.day == 2


def test_keys_of_fields_are_unchanged():
    fields = {"name-first": {"type": "string", "value": "Jane"}, "Über_Feld": {"a": 1}}
    inquiry = made("inquiry", {"fields": fields})

    assert inquiry.fields == fields
    assert inquiry.values == {"name-first": "Jane", "Über_Feld": {"a": 1}}


def test_nested_field_values_are_plain():
    account = made(
        "account",
        {
            "fields": {
                "name": {
                    "type": "hash",
                    "value": {"first": {"type": "string", "value": "Jane"}},
                },
                "numbers": {
                    "type": "array",
                    "value": [
                        {"type": "hash", "value": {"n": {"type": "string", "value": 1}}}
                    ],
                },
                "photo": {"type": "file", "value": {"filename": "a", "value": "b"}},
                "empty": {"type": "string", "value": None},
            }
        },
    )

    assert account.values == {
        "name": {"first": "Jane"},
        "numbers": [{"n": 1}],
        "photo": {"filename": "a", "value": "b"},
        "empty": None,
    }


def test_field_without_an_end_is_refused():
    field = {"value": None}
    for _ in range(2_000):
        field = {"value": {"a": field}}

    with pytest.raises(MalformedResponseError):
        _ = made("inquiry", {"fields": {"a": field}}).values


def test_f54_unknown_attribute_is_kept_and_can_be_read():
    inquiry = made("inquiry", {"brand-new": "2026-01-02"})

    assert inquiry.attributes["brand-new"] == "2026-01-02"
    assert inquiry.get("brand_new") == "2026-01-02"
    assert inquiry.read("brand_new", date) == date(2026, 1, 2)
    assert inquiry.read("nothing_of_that_name", date) is None


def test_unknown_attribute_of_another_type_is_referred_to_get():
    inquiry = made("inquiry", {"brand-new": {"a": 1}})

    with pytest.raises(MalformedResponseError, match=r"Use get\(\) or raw") as caught:
        inquiry.read("brand_new", date)
    assert "base_url" not in str(caught.value)


def test_attribute_can_be_read_as_a_value_of_the_callers_own():
    @attrs.frozen
    class Score:
        score_left: float
        notes: tuple[str, ...] = ()

    inquiry = made("inquiry", {"score": {"score-left": 1, "brand-new": 2}})

    assert inquiry.read("score", Score) == Score(1)


def test_f55_unknown_status_is_kept():
    status = made("inquiry", {"status": "brand_new"}).status

    assert status == "brand_new"
    assert not status.known
    assert InquiryStatus.APPROVED.known


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", 7),
        ("status", ["approved"]),
        ("status", {}),
        ("created-at", "yesterday"),
        ("created-at", "2026-01-02T03:04:05"),
        ("created-at", 7),
        ("tags", "a"),
        ("tags", [1]),
        ("note", 7),
        ("fields", []),
    ],
)
def test_f56_wrong_type_raises_only_when_the_attribute_is_read(name, value):
    inquiry = made("inquiry", {name: value, "reference-id": "r"})

    assert inquiry.reference_id == "r"
    with pytest.raises(MalformedResponseError) as caught:
        getattr(inquiry, name.replace("-", "_"))
    assert caught.value.request_id == "req_1"
    assert caught.value.__context__ is None
    assert "yesterday" not in str(caught.value)


def test_unknown_type_is_a_generic_object():
    thing = made("brand-new/thing", {"a": 1})

    assert type(thing) is Resource
    assert thing.get("a") == 1


def test_repr_shows_type_and_id_only():
    inquiry = made("inquiry", {"fields": {"name-first": {"value": "Jane"}}})

    assert repr(inquiry) == "Inquiry(type='inquiry', id='x_1')"


def test_objects_are_immutable():
    inquiry = made("inquiry")

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        inquiry.id = "inq_2"
    with pytest.raises(AttributeError):
        inquiry.status = "approved"


def test_object_has_its_request_id():
    assert made("inquiry").response_info == FACTS


@pytest.mark.parametrize("lists", [["ofac"], [{"name": "OFAC", "slug": "ofac"}]])
def test_matched_lists_of_a_report_are_names_or_objects(lists):
    report = made("report/watchlist", {"matched-lists": [*lists, None]})

    assert report.matched_lists == tuple(lists)
    assert report.to_dict()["matched_lists"] == lists


def test_checks_of_a_verification_are_values():
    checks = [
        {
            "name": "id_expired",
            "status": "not_applicable",
            "reasons": ["a", None],
            "requirement": "required",
            "metadata": {"k": 1},
            "brand-new": 1,
        },
        {"name": "b", "status": "brand_new", "reasons": None},
    ]

    first, second = made("verification/selfie", {"checks": checks}).checks

    assert first.status is CheckStatus.NOT_APPLICABLE
    assert first.reasons == ("a",)
    assert (second.status, second.reasons) == ("brand_new", ())


@pytest.mark.parametrize("size", ["byte-size", "byte_size", "byteSize"])
def test_address_of_a_file_is_a_secret_in_any_casing(size):
    file = {"filename": "a.png", "url": "https://files.withpersona.com/a?t=1", size: 7}

    ((_, found),) = (
        (each.attribute, each.file)
        for each in made("document/generic", {"files": [file]}).files()
    )

    assert found.url == Secret("https://files.withpersona.com/a?t=1")
    assert found.byte_size == 7
    assert "a.png" not in repr(found)
    assert "withpersona" not in repr(found)


def test_photo_of_a_verification_is_a_secret():
    url = "https://files.withpersona.com/front.png?access_token=t"

    found = made("verification/government-id", {"front-photo-url": url})

    assert found.front_photo_url.reveal() == url


# ── older versions ───────────────────────────────────────────────────────────────


def test_share_token_of_the_open_beta_has_another_relationship():
    connection = {"data": {"type": "connect/connection", "id": "cxn_1"}}

    token = made("connect/share-token", {}, {"connect-connection": connection})

    assert token.connection == Reference("connect/connection", "cxn_1")
    assert token.connection_id == "cxn_1"


def test_share_token_of_the_closed_beta_has_ids_as_attributes():
    token = made(
        "connect/share-token",
        {"status": "new", "source-id": "inq_1", "bridge-id": "cnob_1"},
    )

    assert isinstance(token, ShareToken)
    assert token.status is ShareTokenStatus.CREATED
    assert (token.source_id, token.connection_id) == ("inq_1", "cnob_1")


def test_completed_is_read_as_redeemed():
    token = made("connect/share-token", {"status": "completed", "destination-id": "x"})

    assert token.status is ShareTokenStatus.REDEEMED
    assert token.destination_id == "x"


def test_type_txn_is_a_transaction():
    assert type(made("txn")).__name__ == "Transaction"


def test_files_lists_every_file_once_with_its_attribute():
    base = "https://files.withpersona.com/"
    attributes = {
        "front-photo-url": f"{base}a.png?access_token=1",
        "photo-urls": [
            {"page": "front", "url": f"{base}a.png?access_token=2", "byte-size": 71}
        ],
        "extra": {"videoURL": f"{base}b.mp4?access_token=3"},
        "website-url": "https://example.com/",
        "note": f"{base}c.png?access_token=4",
    }
    found = made("verification/selfie", attributes).files()

    assert [each.attribute for each in found] == ["front-photo-url", "extra-videoURL"]
    assert [each.file.byte_size for each in found] == [71, None]
