"""Included objects and sparse fields of a response."""

import datetime as dt

import pytest

from persona_share.model.account import Account
from persona_share.model.verification import SelfieVerification


@pytest.mark.asyncio
async def test_included_object_is_available_through_its_relationship(scenario):
    (inquiry_id,) = scenario.sandbox.populate(1)

    found = await scenario.source.inquiries.retrieve(
        inquiry_id, include=["account", "verifications"]
    )
    bare = await scenario.source.inquiries.retrieve(inquiry_id)

    (account,) = found.related("account")
    assert account.id == found.account.id
    assert isinstance(account, Account)
    selfies = [
        each
        for each in found.related("verifications")
        if isinstance(each, SelfieVerification)
    ]
    assert [each.id for each in selfies] == [found.verifications[1].id]
    assert bare.included == {}
    assert bare.account == found.account


@pytest.mark.asyncio
async def test_response_contains_only_the_requested_fields(scenario):
    inquiry = scenario.sandbox.add_inquiry(reference_id="r-1")

    found = await scenario.source.inquiries.retrieve(
        inquiry.id, fields={"inquiry": ["status", "fields.name-first"]}
    )

    assert set(found.attributes) == {"status", "fields"}
    assert set(found.fields) == {"name-first"}
    assert found.reference_id is None


@pytest.mark.asyncio
async def test_fields_apply_to_included_and_listed_objects(scenario):
    (inquiry_id,) = scenario.sandbox.populate(1)

    found = await scenario.source.inquiries.retrieve(
        inquiry_id,
        include=["verifications"],
        fields={"verification/selfie": ["status"]},
    )
    listed = await scenario.source.inquiries.list(fields={"inquiry": ["status"]})

    _, selfie = found.related("verifications")
    assert set(selfie.attributes) == {"status"}
    assert [set(each.attributes) for each in listed] == [{"status"}]


@pytest.mark.asyncio
async def test_field_keys_keep_their_spelling(scenario):
    kind = scenario.sandbox.add_transaction_type().id
    made = await scenario.source.transactions.create(
        transaction_type_id=kind,
        fields={"some_key": "a", "someKey": "b", "some-key-2": 3},
    )

    assert {"some_key", "someKey", "some-key-2"} <= set(made.values)


@pytest.mark.asyncio
async def test_datetimes_are_aware_and_in_utc(scenario):
    inquiry = await scenario.source.inquiries.retrieve(
        scenario.sandbox.add_inquiry().id
    )

    assert inquiry.created_at == scenario.clock.wall()
    assert inquiry.created_at.tzinfo is dt.UTC
