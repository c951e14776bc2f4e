"""The OpenAPI document says what the endpoints do, and nothing else."""

import pytest
from openapi_schema_validator import OAS30Validator

from persona_share.partner import openapi
from persona_share.partner.endpoint import MAX_BODY
from persona_share.partner.keys import ASSERTION_TYPE, CLOCK_SKEW, MAX_LIFETIME


DOCUMENT = openapi()
CODES = DOCUMENT["paths"]["/codes"]["post"]


def resolved(schema):
    """Return a schema with its references followed."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            found = DOCUMENT
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return resolved(found)
        return {key: resolved(value) for key, value in schema.items()}
    return [resolved(each) for each in schema] if isinstance(schema, list) else schema


def check(response):
    described = resolved(CODES["responses"][str(response.status_code)])
    OAS30Validator(described["content"]["application/json"]["schema"]).validate(
        response.json()
    )
    for name in described.get("headers", {}):
        assert name in response.headers


@pytest.mark.asyncio
async def test_every_kind_of_response_is_described(harness):
    async with harness.issuing(harness.agreement(codes_per_minute=1)):
        scope = await harness.shared()
        responses = [
            await harness.ask(scope),
            await harness.ask(scope),
            await harness.ask("inquiry.read:inq_other"),
            await harness.ask(scope, assertion="x.y.z"),
            await harness.ask("nonsense"),
            await harness.ask(None),
            await harness.post(harness.form(scope), path="/other"),
            await harness.post(b"x" * 70_000),
            await harness.post({}, headers={"Content-Type": "text/plain"}),
        ]
        harness.sandbox.switches.oauth_enabled = False
        harness.clock.advance(61)
        responses.append(await harness.ask(scope))
    statuses = [each.status_code for each in responses]
    assert statuses == [200, 429, 403, 401, 400, 400, 404, 413, 415, 503]
    for each in responses:
        check(each)


def test_openapi_request_matches_the_parser():
    [schema] = resolved(CODES["requestBody"]["content"]).values()
    schema = schema["schema"]
    assert set(schema["required"]) == {
        "client_assertion",
        "client_assertion_type",
        "scope",
    }
    assert schema["properties"]["client_assertion_type"]["enum"] == [ASSERTION_TYPE]


def test_openapi_limits_match_the_code():
    text = DOCUMENT["info"]["description"]
    assert f"at most {MAX_LIFETIME} seconds ahead" in text
    assert f"differ by {CLOCK_SKEW} seconds" in text
    assert f"{MAX_BODY:,} bytes" in CODES["responses"]["413"]["description"]
