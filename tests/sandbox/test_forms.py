"""Bodies of the OAuth operations: closed forms, in any of three casings."""

import pytest


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("partner", "response_type"),
    [
        ("client-id", "response-type"),
        ("client_id", "response_type"),
        ("clientId", "responseType"),
    ],
)
async def test_parameters_are_read_in_each_casing(box, raw, partner, response_type):
    scope = f"inquiry.read:{box.add_inquiry().id}"
    form = {partner: box.destination.id, response_type: "code", "scope": scope}

    answer = await raw.send("POST", "/oauth/authorize", box.source.api_key, data=form)

    assert answer.status == 201


@pytest.mark.asyncio
async def test_a_parameter_that_is_not_documented_is_refused_and_not_repeated(box, raw):
    form = {"code": "x", "grant-type": "authorization_code", "s3cret": "y"}

    answer = await raw.send("POST", "/oauth/token", box.destination.api_key, data=form)

    assert answer.status == 400
    assert b"s3cret" not in answer.body


@pytest.mark.asyncio
async def test_a_missing_parameter_is_named_in_snake_case(box, raw):
    answer = await raw.send(
        "POST", "/oauth/authorize", box.source.api_key, data={"scope": "x"}
    )

    assert answer.status == 400
    assert answer.error == {"title": "Bad Request", "details": "client_id is missing"}


@pytest.mark.asyncio
async def test_json_is_no_form(box, raw):
    body = {"code": "x", "grant-type": "authorization_code"}

    answer = await raw.send("POST", "/oauth/token", box.destination.api_key, json=body)

    assert answer.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"code=a&code=b", b"\xff\xfe", b"code=%ff"])
async def test_repetitions_and_bytes_that_are_no_text_are_refused(box, raw, body):
    answer = await raw.send(
        "POST",
        "/oauth/token",
        box.destination.api_key,
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status == 400
