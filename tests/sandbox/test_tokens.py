"""What an access token opens, and until when."""

import pytest


@pytest.mark.asyncio
async def test_a_token_reads_just_what_its_scope_names(box, raw):
    shared, other = box.add_inquiry().id, box.add_inquiry().id
    verification = box.add_verification(inquiry=shared).id
    token = await raw.token(f"inquiry.read:{shared}")

    assert (await raw.get(f"/inquiries/{shared}", token)).status == 200
    assert (await raw.get(f"/inquiries/{other}", token)).status == 403
    assert (await raw.get(f"/verifications/{verification}", token)).status == 403


@pytest.mark.asyncio
async def test_a_write_permission_does_not_read(box, raw):
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.write:{inquiry}")

    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 403


@pytest.mark.asyncio
async def test_outside_the_scope_nobody_learns_what_exists(box, raw):
    token = await raw.token(f"inquiry.read:{box.add_inquiry().id}")

    there = await raw.get(f"/inquiries/{box.add_inquiry().id}", token)
    nowhere = await raw.get("/inquiries/inq_nowhere", token)

    assert (there.status, there.body) == (nowhere.status, nowhere.body)


@pytest.mark.asyncio
async def test_a_token_ends_after_its_lifetime_and_not_before(box, raw):
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    box.advance(3599.9)
    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 200
    box.advance(0.1)
    expired = await raw.get(f"/inquiries/{inquiry}", token)

    assert expired.status == 401
    assert expired.error == {"title": "Token is invalid"}


@pytest.mark.asyncio
async def test_a_token_is_revoked_by_value_or_by_scope(box, raw):
    inquiry = box.add_inquiry().id
    scope = f"inquiry.read:{inquiry}"
    first, second = await raw.token(scope), await raw.token(scope)

    assert box.revoke(first) == 1
    assert (await raw.get(f"/inquiries/{inquiry}", first)).status == 401
    assert (await raw.get(f"/inquiries/{inquiry}", second)).status == 200
    assert box.revoke(scope) == 1
    assert (await raw.get(f"/inquiries/{inquiry}", second)).status == 401
    assert box.revoke("localbox_no_such_token") == 0


@pytest.mark.asyncio
async def test_an_api_key_sees_its_own_organization_only(box, raw):
    inquiry = box.add_inquiry().id

    answer = await raw.get(f"/inquiries/{inquiry}", box.destination.api_key)

    assert answer.status == 404
    assert answer.error == {"title": "Record not found"}


@pytest.mark.asyncio
async def test_an_api_key_without_the_permission_is_forbidden(box, raw):
    inquiry = box.add_inquiry().id
    key = box.add_api_key(box.source, permissions=["account.read"])

    answer = await raw.get(f"/inquiries/{inquiry}", key)

    assert answer.status == 403
    assert answer.error["title"] == "Forbidden"


@pytest.mark.asyncio
async def test_no_credential_and_a_wrong_one_are_both_401_without_details(box, raw):
    nobody = await raw.send("GET", "/inquiries/inq_1")
    wrong = await raw.get("/inquiries/inq_1", "localbox_wrong")

    assert (nobody.status, wrong.status) == (401, 401)
    assert nobody.error == {"title": "Must be authenticated to access this endpoint"}
    assert wrong.error == {"title": "Token is invalid"}
    for answer in (nobody, wrong):
        assert not [name for name in answer.headers if name.startswith("RateLimit")]
        assert "Request-Id" not in answer.headers
