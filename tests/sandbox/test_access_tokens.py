"""Access tokens: what they may read and write, and their switches."""

import pytest

from tests.sandbox.raw import body, meta


@pytest.mark.asyncio
async def test_token_reads_only_the_objects_of_its_scope(sandbox, raw):
    shared, other = sandbox.add_inquiry().id, sandbox.add_inquiry().id
    verification = sandbox.add_verification(inquiry=shared).id
    token = await raw.token(f"inquiry.read:{shared}")

    assert (await raw.get(f"/inquiries/{shared}", token)).status == 200
    assert (await raw.get(f"/inquiries/{other}", token)).status == 403
    assert (await raw.get(f"/verifications/{verification}", token)).status == 403


@pytest.mark.asyncio
async def test_write_permission_does_not_read(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.write:{inquiry}")

    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 403


@pytest.mark.asyncio
async def test_out_of_scope_errors_do_not_reveal_which_objects_exist(sandbox, raw):
    token = await raw.token(f"inquiry.read:{sandbox.add_inquiry().id}")

    there = await raw.get(f"/inquiries/{sandbox.add_inquiry().id}", token)
    nowhere = await raw.get("/inquiries/inq_nowhere", token)

    assert (there.status, there.body) == (nowhere.status, nowhere.body)


@pytest.mark.asyncio
async def test_token_expires_after_its_lifetime(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    sandbox.advance(3599.9)
    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 200
    sandbox.advance(0.1)
    expired = await raw.get(f"/inquiries/{inquiry}", token)

    assert expired.status == 401
    assert expired.error == {"title": "Token is invalid"}


@pytest.mark.asyncio
async def test_token_is_revoked_by_value_or_by_scope(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    scope = f"inquiry.read:{inquiry}"
    first, second = await raw.token(scope), await raw.token(scope)

    assert sandbox.revoke(first) == 1
    assert (await raw.get(f"/inquiries/{inquiry}", first)).status == 401
    assert (await raw.get(f"/inquiries/{inquiry}", second)).status == 200
    assert sandbox.revoke(scope) == 1
    assert (await raw.get(f"/inquiries/{inquiry}", second)).status == 401
    assert sandbox.revoke("localbox_no_such_token") == 0


@pytest.mark.asyncio
async def test_api_key_reads_only_its_own_organization(sandbox, raw):
    inquiry = sandbox.add_inquiry().id

    response = await raw.get(f"/inquiries/{inquiry}", sandbox.destination.api_key)

    assert response.status == 404
    assert response.error == {"title": "Record not found"}


@pytest.mark.asyncio
async def test_api_key_without_the_permission_is_forbidden(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    key = sandbox.add_api_key(sandbox.source, permissions=["account.read"])

    response = await raw.get(f"/inquiries/{inquiry}", key)

    assert response.status == 403
    assert response.error["title"] == "Forbidden"


@pytest.mark.asyncio
async def test_missing_or_wrong_credential_gets_401_without_details(sandbox, raw):
    missing = await raw.send("GET", "/inquiries/inq_1")
    wrong = await raw.get("/inquiries/inq_1", "localbox_wrong")

    assert (missing.status, wrong.status) == (401, 401)
    assert missing.error == {"title": "Must be authenticated to access this endpoint"}
    assert wrong.error == {"title": "Token is invalid"}
    for response in (missing, wrong):
        assert not [name for name in response.headers if name.startswith("RateLimit")]
        assert "Request-Id" not in response.headers


@pytest.mark.asyncio
async def test_success_status_and_the_token_type_are_switches(sandbox, raw):
    sandbox.switches.success_status = 200
    sandbox.switches.token_casing = "Bearer"

    response = await raw.exchange(
        await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    )

    assert response.status == 200
    assert response.json["token-type"] == "Bearer"


@pytest.mark.asyncio
@pytest.mark.parametrize(("revokes", "status"), [(True, 401), (False, 200)])
async def test_second_token_may_revoke_the_first(sandbox, raw, revokes, status):
    sandbox.switches.second_token_revokes_first = revokes
    inquiry = sandbox.add_inquiry().id
    first = await raw.token(f"inquiry.read:{inquiry}")
    second = await raw.token(f"inquiry.read:{inquiry}")

    assert (await raw.get(f"/inquiries/{inquiry}", first)).status == status
    assert (await raw.get(f"/inquiries/{inquiry}", second)).status == 200


@pytest.mark.asyncio
async def test_new_token_may_be_refused_at_first(sandbox, raw):
    sandbox.switches.new_token_401_seconds = 2
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    early = await raw.get(f"/inquiries/{inquiry}", token)
    sandbox.advance(2)
    later = await raw.get(f"/inquiries/{inquiry}", token)

    assert (early.status, later.status) == (401, 200)


@pytest.mark.asyncio
@pytest.mark.parametrize(("slack", "age", "status"), [(9, 3608, 200), (-9, 3592, 401)])
async def test_token_may_expire_before_or_after_its_announced_lifetime(
    sandbox, raw, slack, age, status
):
    sandbox.switches.lifetime_slack = slack
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    sandbox.advance(age)

    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == status


@pytest.mark.asyncio
async def test_expired_or_revoked_token_may_get_403(sandbox, raw):
    sandbox.switches.expired_token_status = 403
    sandbox.switches.revoked_token_status = 403
    inquiry = sandbox.add_inquiry().id
    revoked = await raw.token(f"inquiry.read:{inquiry}")
    sandbox.revoke(revoked)
    expired = await raw.token(f"inquiry.read:{inquiry}")

    first = await raw.get(f"/inquiries/{inquiry}", revoked)
    sandbox.advance(3600)
    second = await raw.get(f"/inquiries/{inquiry}", expired)

    assert (first.status, second.status) == (403, 403)


@pytest.mark.asyncio
async def test_out_of_scope_may_get_404(sandbox, raw):
    sandbox.switches.out_of_scope_status = 404
    token = await raw.token(f"inquiry.read:{sandbox.add_inquiry().id}")

    response = await raw.get(f"/inquiries/{sandbox.add_inquiry().id}", token)

    assert response.status == 404
    assert response.error == {"title": "Record not found"}


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ["as_given", "canonical", "shuffled"])
async def test_granted_scope_may_have_another_order(sandbox, raw, order):
    sandbox.switches.scope_order = order
    pairs = [
        f"inquiry.read:{sandbox.add_inquiry(id=f'inq_{n}').id}" for n in range(9, 0, -1)
    ]

    response = await raw.exchange(await raw.code(" ".join(pairs)))

    granted = response.json["scope"].split(" ")
    assert sorted(granted) == sorted(pairs)
    assert (granted == pairs) is (order == "as_given")
    assert (granted == sorted(pairs)) is (order == "canonical")


@pytest.mark.asyncio
@pytest.mark.parametrize(("kept", "times"), [("kept", 2), ("dropped", 1)])
async def test_repeated_pair_may_be_granted_twice(sandbox, raw, kept, times):
    sandbox.switches.scope_duplicates = kept
    pair = f"inquiry.read:{sandbox.add_inquiry().id}"

    response = await raw.exchange(await raw.code(f"{pair} {pair}"))

    assert response.json["scope"].split() == [pair] * times


@pytest.mark.asyncio
async def test_permissions_may_be_case_insensitive(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    strict = await raw.authorize(f"Inquiry.Read:{inquiry}")
    sandbox.switches.scope_case = "lowered"

    response = await raw.exchange(await raw.code(f"Inquiry.Read:{inquiry}"))

    assert strict.status == 400
    assert response.json["scope"] == f"inquiry.read:{inquiry}"


@pytest.mark.asyncio
async def test_granted_scope_may_be_narrower_wider_or_empty(sandbox, raw):
    first, second = sandbox.add_inquiry().id, sandbox.add_inquiry().id
    asked = f"inquiry.read:{first}"

    sandbox.switches.grants = lambda _: f"inquiry.read:{second}"
    other = await raw.token(asked)
    sandbox.switches.grants = lambda _: ""
    nothing = await raw.exchange(await raw.code(asked))

    assert (await raw.get(f"/inquiries/{second}", other)).status == 200
    assert (await raw.get(f"/inquiries/{first}", other)).status == 403
    assert nothing.json["scope"] == ""


@pytest.mark.asyncio
async def test_token_may_list_its_own_objects_or_none(sandbox, raw):
    shared = sandbox.add_inquiry().id
    sandbox.add_inquiry()
    token = await raw.token(f"inquiry.read:{shared}")

    filtered = await raw.get("/inquiries", token)
    sandbox.switches.scoped_lists = "forbidden"
    forbidden = await raw.get("/inquiries", token)

    assert [item["id"] for item in filtered.json["data"]] == [shared]
    assert forbidden.status == 403


@pytest.mark.asyncio
async def test_token_does_not_list_other_types(sandbox, raw):
    token = await raw.token(f"inquiry.read:{sandbox.add_inquiry().id}")

    assert (await raw.get("/accounts", token)).status == 403


@pytest.mark.asyncio
@pytest.mark.parametrize(("needs_pair", "included"), [(True, 0), (False, 1)])
async def test_included_object_may_need_its_own_pair(
    sandbox, raw, needs_pair, included
):
    sandbox.switches.included_needs_pair = needs_pair
    inquiry = sandbox.add_inquiry().id
    sandbox.add_verification(inquiry=inquiry)
    token = await raw.token(f"inquiry.read:{inquiry}")

    response = await raw.get(f"/inquiries/{inquiry}?include=verifications", token)

    assert len(response.json["included"]) == included


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["source", "destination"])
async def test_response_headers_for_a_token_may_name_either_organization(
    sandbox, raw, end
):
    sandbox.switches.token_environment = end
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    response = await raw.get(f"/inquiries/{inquiry}", token)

    named = getattr(sandbox, end)
    assert response.headers["Persona-Organization-Id"] == named.id
    assert response.headers["Persona-Environment-Id"] == named.environment.id


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("inherits", "key"),
    [("nothing", "created-at"), ("issuer", "createdAt"), ("holder", "created_at")],
)
async def test_token_may_inherit_the_settings_of_either_api_key(
    sandbox, raw, inherits, key
):
    sandbox.switches.token_inherits = inherits
    issuer = sandbox.add_api_key(sandbox.source, inflection="camel")
    holder = sandbox.add_api_key(sandbox.destination, inflection="snake")
    inquiry = sandbox.add_inquiry().id
    code = await raw.authorize(f"inquiry.read:{inquiry}", bearer=issuer)
    token = await raw.exchange(code.json["code"], bearer=holder)

    response = await raw.get(f"/inquiries/{inquiry}", token.json["access_token"])

    assert key in response.json["data"]["attributes"]


FAMILIES = {
    "account": ("account", "accounts"),
    "case": ("case", "cases"),
    "inquiry": ("inquiry", "inquiries"),
    "report": ("report", "reports"),
    "transaction": ("txn", "transactions"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", FAMILIES)
async def test_change_needs_a_write_permission(sandbox, raw, kind):
    word, plural = FAMILIES[kind]
    object_id = getattr(sandbox, f"add_{kind}")().id
    reads = await raw.token(f"{word}.read:{object_id}")
    writes = await raw.token(f"{word}.write:{object_id}")
    path, given = f"/{plural}/{object_id}/add-tag", meta(tag_name="a")

    refused = await raw.post(path, reads, json=given)
    served = await raw.post(path, writes, json=given)
    unread = await raw.get(f"/{plural}/{object_id}", writes)

    assert (refused.status, served.status, unread.status) == (403, 200, 403)


@pytest.mark.asyncio
async def test_scope_is_checked_before_an_object_is_looked_up(sandbox, raw):
    mine, other = sandbox.add_inquiry().id, sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.write:{mine}")

    for object_id in (other, "inq_nowhere"):
        response = await raw.post(f"/inquiries/{object_id}/approve", token)
        assert response.status == 403
    sandbox.switches.out_of_scope_status = 404
    assert (await raw.post(f"/inquiries/{other}/approve", token)).status == 404


@pytest.mark.asyncio
async def test_access_token_creates_no_objects(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.write:{inquiry}")

    assert (await raw.post("/inquiries", token, json=body())).status == 403
    ids = meta(inquiry_ids=[inquiry])
    assert (
        await raw.post("/inquiry-sessions/expire-all", token, json=ids)
    ).status == 403


@pytest.mark.asyncio
async def test_api_key_needs_the_permission(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, permissions=["txn.read"])
    transaction = sandbox.add_transaction().id

    read = await raw.get(f"/transactions/{transaction}", key)
    made = await raw.post("/transactions", key, json=body())
    redacted = await raw.delete(f"/transactions/{transaction}", key)

    assert (read.status, made.status, redacted.status) == (200, 403, 403)


@pytest.mark.asyncio
async def test_printing_with_an_access_token_is_a_switch(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    served = await raw.get(f"/inquiries/{inquiry}/print", token)
    sandbox.switches.scoped_print = False
    refused = await raw.get(f"/inquiries/{inquiry}/print", token)

    assert (served.status, refused.status) == (200, 403)


@pytest.mark.asyncio
async def test_redacting_with_an_access_token_is_a_switch(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.write:{inquiry}")

    sandbox.switches.scoped_redact = False
    refused = await raw.delete(f"/inquiries/{inquiry}", token)
    sandbox.switches.scoped_redact = True
    served = await raw.delete(f"/inquiries/{inquiry}", token)

    assert (refused.status, served.status) == (403, 200)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "permission", "path"),
    [
        ("document", "document.read", "documents"),
        ("event", "event.read", "events"),
        ("report", "report.read", "reports"),
        ("case", "case.read", "cases"),
        ("transaction", "txn.read", "transactions"),
    ],
)
async def test_each_type_is_read_with_its_permission(
    sandbox, raw, kind, permission, path
):
    mine, other = [getattr(sandbox, f"add_{kind}")().id for _ in range(2)]
    token = await raw.token(f"{permission}:{mine}")

    assert (await raw.get(f"/{path}/{mine}", token)).status == 200
    assert (await raw.get(f"/{path}/{other}", token)).status == 403
