"""F40 to F57 on resources: success responses with invalid content."""

import codecs
import json

import pytest

from persona_share.errors import MalformedResponseError, Phase
from persona_share.model.inquiry import Inquiry


OPERATION = "GET /inquiries/{inquiry-id}"
INQUIRY = {
    "type": "inquiry",
    "id": "inq_1",
    "attributes": {"status": "completed", "reference-id": "r"},
    "relationships": {},
}


def changed(**changes):
    return {"data": INQUIRY | changes}


async def retrieved(env, body, status=200):
    env.sandbox.faults.answer(OPERATION, status, body=body)
    return await env.client.inquiries.retrieve("inq_1")


async def refused(env, body, status=200):
    with pytest.raises(MalformedResponseError) as caught:
        await retrieved(env, body, status)
    error = caught.value
    assert error.phase is Phase.ANSWERED
    assert error.status == status
    assert error.request_id
    assert len(error.attempts) == 1
    assert env.clock.slept == []
    return error


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 201, 202])
async def test_f40_every_2xx_is_a_success(env, status):
    assert (await retrieved(env, changed(), status)).id == "inq_1"


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 201, 204])
async def test_f41_success_without_a_body_is_malformed(env, status):
    await refused(env, b"", status)


TEXT = json.dumps(changed()).encode()
NOT_JSON = {
    "cut": TEXT[:-7],
    "UTF-16": json.dumps(changed()).encode("utf-16"),
    "something after it": TEXT + b"{}",
    "no JSON at all": b"completed",
    "not a number": TEXT.replace(b'"completed"', b"NaN"),
    "no UTF-8": TEXT.replace(b"completed", b"\xff\xfe"),
    "too deep": b"[" * 100_000,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_f42_invalid_json_is_malformed_and_not_retried(env, body):
    error = await refused(env, body)
    assert "completed" not in f"{error} {vars(error)}"


@pytest.mark.asyncio
async def test_f42_byte_order_mark_is_tolerated(env):
    assert (await retrieved(env, codecs.BOM_UTF8 + TEXT)).id == "inq_1"


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"7", b"true"])
async def test_f43_json_that_is_not_an_object_is_malformed(env, body):
    await refused(env, body)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [{}, {"data": None}, {"data": []}, {"data": {"id": "inq_1"}}, {"data": "inq_1"}],
    ids=str,
)
async def test_f44_response_without_its_object_is_malformed(env, body):
    await refused(env, body)


@pytest.mark.asyncio
async def test_f53_attributes_are_found_in_any_casing(env):
    body = changed(attributes={"referenceId": "camel"})
    assert (await retrieved(env, body)).reference_id == "camel"
    body = changed(attributes={"reference_id": "snake"})
    assert (await retrieved(env, body)).reference_id == "snake"


@pytest.mark.asyncio
async def test_f54_unknown_attributes_are_kept(env):
    attributes = INQUIRY["attributes"] | {"brand-new": {"a": [1]}}
    body = changed(attributes=attributes, unknown=1) | {"more": 2}
    inquiry = await retrieved(env, body)
    assert inquiry.attributes["brand-new"] == {"a": [1]}


@pytest.mark.asyncio
async def test_f55_unknown_status_is_kept_unchanged(env):
    inquiry = await retrieved(env, changed(attributes={"status": "archived"}))
    assert inquiry.status == "archived"
    assert not inquiry.status.known


@pytest.mark.asyncio
async def test_f56_wrong_type_raises_when_the_attribute_is_read(env):
    attributes = {"status": "completed", "created-at": {"not": "a date"}}
    inquiry = await retrieved(env, changed(attributes=attributes))
    assert inquiry.status == "completed"
    with pytest.raises(MalformedResponseError) as caught:
        _ = inquiry.created_at
    assert "a date" not in f"{caught.value} {vars(caught.value)}"
    assert caught.value.request_id


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "mixed", [{"id": "inq_2"}, {"type": "account"}, {"type": "account", "id": "act_1"}]
)
async def test_f57_different_object_than_requested_is_refused(env, mixed):
    error = await refused(env, changed(**mixed))
    assert "inq_2" not in f"{error} {vars(error)}"


@pytest.mark.asyncio
async def test_results_have_request_and_organization_ids(env):
    inquiry = await env.client.inquiries.retrieve(env.add_inquiry().id)
    assert isinstance(inquiry, Inquiry)
    assert inquiry.response_info.request_id.startswith("req_")
    assert inquiry.response_info.organization_id == env.sandbox.destination.id
    assert inquiry.response_info.environment_id.startswith("env_")
