"""What a scoped token may change: what its scope lets it write, and nothing else."""

import pytest

from tests.sandbox.raw import body, meta


FAMILIES = {
    "account": ("account", "accounts"),
    "case": ("case", "cases"),
    "inquiry": ("inquiry", "inquiries"),
    "report": ("report", "reports"),
    "transaction": ("txn", "transactions"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", FAMILIES)
async def test_a_change_needs_the_permission_to_write(box, raw, kind):
    word, plural = FAMILIES[kind]
    object_id = getattr(box, f"add_{kind}")().id
    reads = await raw.token(f"{word}.read:{object_id}")
    writes = await raw.token(f"{word}.write:{object_id}")
    path, given = f"/{plural}/{object_id}/add-tag", meta(tag_name="a")

    refused = await raw.post(path, reads, json=given)
    served = await raw.post(path, writes, json=given)
    unread = await raw.get(f"/{plural}/{object_id}", writes)

    assert (refused.status, served.status, unread.status) == (403, 200, 403)


@pytest.mark.asyncio
async def test_another_object_is_out_of_scope_before_it_is_looked_for(box, raw):
    mine, other = box.add_inquiry().id, box.add_inquiry().id
    token = await raw.token(f"inquiry.write:{mine}")

    for object_id in (other, "inq_nowhere"):
        answer = await raw.post(f"/inquiries/{object_id}/approve", token)
        assert answer.status == 403
    box.switches.out_of_scope_status = 404
    assert (await raw.post(f"/inquiries/{other}/approve", token)).status == 404


@pytest.mark.asyncio
async def test_a_scoped_token_makes_nothing_new(box, raw):
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.write:{inquiry}")

    assert (await raw.post("/inquiries", token, json=body())).status == 403
    ids = meta(inquiry_ids=[inquiry])
    assert (
        await raw.post("/inquiry-sessions/expire-all", token, json=ids)
    ).status == 403


@pytest.mark.asyncio
async def test_a_key_with_permissions_needs_the_right_one(box, raw):
    key = box.add_api_key(box.source, permissions=["txn.read"])
    transaction = box.add_transaction().id

    read = await raw.get(f"/transactions/{transaction}", key)
    made = await raw.post("/transactions", key, json=body())
    redacted = await raw.delete(f"/transactions/{transaction}", key)

    assert (read.status, made.status, redacted.status) == (200, 403, 403)


@pytest.mark.asyncio
async def test_whether_a_scoped_token_prints_is_a_switch(box, raw):
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    served = await raw.get(f"/inquiries/{inquiry}/print", token)
    box.switches.scoped_print = False
    refused = await raw.get(f"/inquiries/{inquiry}/print", token)

    assert (served.status, refused.status) == (200, 403)


@pytest.mark.asyncio
async def test_whether_a_scoped_token_redacts_is_a_switch(box, raw):
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.write:{inquiry}")

    box.switches.scoped_redact = False
    refused = await raw.delete(f"/inquiries/{inquiry}", token)
    box.switches.scoped_redact = True
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
async def test_each_kind_is_read_with_its_permission(box, raw, kind, permission, path):
    mine, other = [getattr(box, f"add_{kind}")().id for _ in range(2)]
    token = await raw.token(f"{permission}:{mine}")

    assert (await raw.get(f"/{path}/{mine}", token)).status == 200
    assert (await raw.get(f"/{path}/{other}", token)).status == 403
