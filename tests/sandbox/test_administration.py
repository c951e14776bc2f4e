"""Webhooks, API keys, API logs, workflows and batch jobs as objects of the API."""

import pytest
from aiohttp import web

from persona_share.sandbox.state.webhooks import RETRIES
from tests.sandbox.raw import attributes, body, meta


HOOK = {"url": "http://127.0.0.1:1/", "enabled_events": ["inquiry.approved"]}


async def created_webhook(raw, **given):
    made = await raw.post("/webhooks", json=body(**(HOOK | {"name": "hook"} | given)))
    return made.json["data"]["id"]


@pytest.mark.asyncio
async def test_webhook_is_created_changed_and_archived(raw):
    made = await raw.post("/webhooks", json=body(**HOOK, name="first"))
    webhook = made.json["data"]["id"]
    path = f"/webhooks/{webhook}"

    enabled = await raw.post(f"{path}/enable")
    twice = await raw.post(f"{path}/enable")
    changed = await raw.patch(path, json=body(name="second"))
    shown = await raw.get(path)
    disabled = await raw.post(f"{path}/disable")
    archived = await raw.post(f"{path}/archive")
    again = await raw.post(f"{path}/enable")

    assert (made.status, attributes(made)["status"]) == (201, "disabled")
    assert attributes(made)["secret"].startswith("wbhsec_localbox_")
    assert attributes(enabled)["status"] == "enabled"
    assert "secret" not in attributes(enabled)
    assert attributes(changed)["name"] == "second"
    assert attributes(shown)["secret"] == attributes(made)["secret"]
    assert attributes(disabled)["status"] == "disabled"
    assert attributes(archived)["status"] == "archived"
    assert (twice.status, again.status) == (409, 409)


@pytest.mark.asyncio
async def test_webhook_needs_a_name_since_2026_09_29(raw):
    async def statuses(version):
        headers = {"Persona-Version": version}
        made = await raw.post("/webhooks", json=body(**HOOK), headers=headers)
        null = await raw.post(
            "/webhooks", json=body(**HOOK, name=None), headers=headers
        )
        named = await created_webhook(raw)
        path = f"/webhooks/{named}"
        changed = await raw.patch(path, json=body(name=None), headers=headers)
        return made.status, null.status, changed.status

    assert await statuses("2025-12-08") == (201, 201, 200)
    assert await statuses("2026-09-29") == (400, 400, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("allowlists", "status"),
    [
        ({"included_allowlist": {"state": "include_all"}}, 201),
        ({"included_allowlist": {"state": "everything"}}, 400),
        ({"included_allowlist": {"state": "custom"}}, 400),
        ({"included_allowlist": {}}, 400),
        ({"relationship_allowlist": {"state": "include_none"}}, 201),
        ({"relationship_allowlist": {"state": "custom"}}, 400),
    ],
)
async def test_allowlists_of_a_webhook_have_documented_states(raw, allowlists, status):
    created = await raw.post("/webhooks", json=body(**HOOK, name="hook", **allowlists))

    assert created.status == status


@pytest.mark.asyncio
async def test_rotated_secret_signs_together_with_the_old_one(sandbox, raw):
    webhook = await created_webhook(raw)
    path = f"/webhooks/{webhook}/rotate-secret"

    rotated = await raw.post(path, json=meta(expires_in_seconds=60))

    newest, oldest = attributes(rotated)["secrets"]
    assert newest == {"value": attributes(rotated)["secret"], "expires-at": None}
    assert oldest["expires-at"] == "2026-01-01T12:01:00.000Z"


@pytest.mark.asyncio
async def test_webhooks_are_listed_and_cloned_without_their_secret(sandbox, raw):
    webhook = await created_webhook(raw, name="first")

    clone = await raw.post(f"/webhooks/{webhook}/clone")
    listed = await raw.get("/webhooks")
    foreign = await raw.get(f"/webhooks/{webhook}", sandbox.destination.api_key)

    assert attributes(clone)["name"] == "first"
    shown = attributes(await raw.get(f"/webhooks/{webhook}"))
    assert attributes(clone)["secret"] != shown["secret"]
    names = [each["id"] for each in listed.json["data"]]
    assert names == [clone.json["data"]["id"], webhook]
    assert foreign.status == 404


@pytest.mark.asyncio
async def test_webhook_event_shows_the_result_of_its_delivery(
    sandbox, raw, unused_tcp_port
):
    responses = iter([503, 200])

    async def received(_request):
        return web.Response(status=next(responses))

    runner = web.ServerRunner(web.Server(received))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    webhook = await created_webhook(raw, url=url)
    await raw.post(f"/webhooks/{webhook}/enable")
    inquiry = sandbox.add_inquiry().id
    await raw.post(f"/inquiries/{inquiry}/approve")

    async def found(**query):
        given = {"query": query} if query else {}
        response = await raw.post("/webhook-events/search", json=given)
        return [each["attributes"] for each in response.json["data"]]

    await sandbox.deliver_webhooks()
    (failed,) = await found()
    sandbox.advance(RETRIES[0])
    await sandbox.deliver_webhooks()
    about = {"attribute": "related_object_ids", "operator": "eq", "value": inquiry}
    (done,) = await found(**about)
    await runner.cleanup()

    assert (failed["status"], failed["result-code"]) == ("pending", 503)
    assert (done["status"], done["result-code"]) == ("completed", 200)
    assert (done["attempts-made"], done["webhook-id"]) == (2, webhook)
    assert done["event-name"] == "inquiry.approved"


@pytest.fixture
def unused_tcp_port():
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        {"query": {"attribute": "status", "operator": "gt", "value": "a"}},
        {"sort": {"attribute": "status", "direction": "asc"}},
        {"query": {"attribute": "unknown", "operator": "eq", "value": "a"}},
    ],
)
async def test_webhook_events_are_compared_and_sorted_by_time_only(raw, body):
    assert (await raw.post("/webhook-events/search", json=body)).status == 400


@pytest.mark.asyncio
async def test_api_key_works_until_it_expires(sandbox, raw):
    made = await raw.post(
        "/api-keys", json=body(name="batch", permissions=["inquiry.read"])
    )
    key_id, value = made.json["data"]["id"], attributes(made)["value"]

    allowed = await raw.get("/inquiries", value)
    refused = await raw.get("/accounts", value)
    path = f"/api-keys/{key_id}/expire"
    await raw.post(path, json=meta(expires_in_seconds=60))
    sandbox.advance(60)
    expired = await raw.get("/inquiries", value)
    shown = await raw.get(f"/api-keys/{key_id}")

    assert (allowed.status, refused.status, expired.status) == (200, 403, 401)
    assert "value" not in attributes(shown)
    assert attributes(shown)["permissions"] == ["inquiry.read"]
    assert attributes(shown)["last-used-at"] == "2026-01-01T12:00:00.000Z"


@pytest.mark.asyncio
async def test_api_keys_are_listed_changed_and_cloned(sandbox, raw):
    key_id = sandbox.api_key_id(sandbox.add_api_key(sandbox.source))

    changed = await raw.patch(f"/api-keys/{key_id}", json=body(name="n", note="m"))
    clone = await raw.post(f"/api-keys/{key_id}/clone")
    found = await raw.get("/api-keys?filter[name]=n")
    missing = await raw.patch("/api-keys/api_missing", json=body(name="n"))

    assert (attributes(changed)["name"], attributes(changed)["note"]) == ("n", "m")
    assert attributes(clone)["value"].startswith("localbox_")
    ids = [each["id"] for each in found.json["data"]]
    assert ids == [clone.json["data"]["id"], key_id]
    assert missing.status == 404


@pytest.mark.asyncio
async def test_api_log_shows_requests_without_credentials(sandbox, raw):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    token = await raw.token(scope)
    await raw.post("/inquiries/search", json={"query": {}})

    listed = await raw.get("/api-logs?page[size]=100")

    searched, authorized = listed.json["data"][:2]
    paths = [each["attributes"]["request"]["path"] for each in (searched, authorized)]
    assert paths == ["/api/v1/inquiries/search", "/api/v1/oauth/authorize"]
    assert authorized["attributes"]["request"]["post-params"]["scope"] == scope
    assert authorized["attributes"]["response"]["status"] == 201
    headers = searched["attributes"]["request"]["headers"]
    assert headers["Authorization"] == "Bearer ••••"
    assert token.encode() not in listed.body
    assert sandbox.source.api_key.encode() not in listed.body
    one = await raw.get(f"/api-logs/{searched['id']}")
    assert one.json["data"] == searched


@pytest.mark.asyncio
async def test_workflow_run_completes_after_its_seconds(sandbox, raw):
    sandbox.switches.workflow_seconds = 5
    workflow = sandbox.add_workflow().id
    path = f"/workflows/{workflow}/trigger"

    started = await raw.post(path, json=body(fields={"a": 1}))
    run = started.json["data"]["id"]
    sandbox.advance(5)
    done = await raw.get(f"/workflow-runs/{run}?include=workflow")
    listed = await raw.get("/workflow-runs?filter[status]=completed")
    missing = await raw.post("/workflows/wfl_missing/trigger", json=body(fields={}))

    assert attributes(started)["status"] == "in_progress"
    assert attributes(done)["status"] == "completed"
    assert [each["id"] for each in done.json["included"]] == [workflow]
    assert [each["id"] for each in listed.json["data"]] == [run]
    assert missing.status == 404


def rows(*given, operation="upsert", **more):
    job = {"operation": operation, "object": "account", "lookup_field": "reference_id"}
    return body(**(job | more), rows=list(given))


@pytest.mark.asyncio
async def test_batch_job_creates_and_updates_accounts(sandbox, raw):
    sandbox.switches.batch_job_seconds = 5
    known = sandbox.add_account(reference_id="a").id
    kind = sandbox.add_account_type().id

    started = await raw.post(
        "/batch-jobs",
        json=rows(
            {"reference_id": "a", "name_first": "Ann"},
            {"reference_id": "b", "name_first": "Bea"},
            {"name_first": "Cy"},
            account_type_id=kind,
        ),
    )
    job = started.json["data"]["id"]
    sandbox.advance(5)
    done = await raw.get(f"/batch-jobs/{job}")
    errors = await raw.get(f"/batch-jobs/{job}/errors")
    updated = await raw.get(f"/accounts/{known}")
    created = await raw.get("/accounts?filter[reference-id]=b")

    assert (started.status, attributes(started)["status"]) == (202, "pending")
    counts = attributes(done)["run-data"]
    assert (counts["created-count"], counts["updated-count"]) == (1, 1)
    assert counts["error-count"] == errors.json["meta"]["error-count"] == 1
    (error,) = errors.json["data"]
    assert error["attributes"]["row-number"] == 3
    name = attributes(updated)["fields"]["name"]["value"]
    assert name["first"]["value"] == "Ann"
    assert len(created.json["data"]) == 1


@pytest.mark.asyncio
async def test_batch_job_updates_inquiries_by_their_id(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    job = {"object": "inquiry", "lookup_field": "token"}

    done = await raw.post(
        "/batch-jobs",
        json=rows(
            {"token": inquiry, "name_first": "Ann"},
            {"token": "inq_missing", "name_first": "Bea"},
            operation="update",
            **job,
        ),
    )

    assert attributes(done)["run-data"]["success-count"] == 1
    shown = await raw.get(f"/inquiries/{inquiry}")
    assert attributes(shown)["fields"]["name-first"]["value"] == "Ann"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "given",
    [
        rows({}, lookup_field="token"),
        rows({}, object="inquiry"),
        rows(),
        rows(*[{}] * 1001),
    ],
)
async def test_unsupported_batch_job_is_a_bad_request(raw, given):
    assert (await raw.post("/batch-jobs", json=given)).status == 400


@pytest.mark.asyncio
async def test_objects_are_attached_to_accounts_and_transactions(sandbox, raw):
    account, transaction = sandbox.add_account().id, sandbox.add_transaction().id
    inquiry, verification = sandbox.add_inquiry().id, sandbox.add_verification().id
    objects = meta(object_ids=[inquiry, verification])

    await raw.post(f"/accounts/{account}/add-objects", json=objects)
    of_inquiry = await raw.get(f"/inquiries/{inquiry}")
    added = await raw.post(f"/transactions/{transaction}/add-objects", json=objects)
    removed = await raw.post(
        f"/transactions/{transaction}/remove-objects", json=meta(object_ids=[inquiry])
    )
    many = meta(object_ids=[inquiry] * 101)
    refused = await raw.post(f"/accounts/{account}/add-objects", json=many)

    def related(response, name):
        return response.json["data"]["relationships"][name]["data"]

    assert related(of_inquiry, "account") == {"type": "account", "id": account}
    ids = [each["id"] for each in related(added, "related-objects")]
    assert ids == [inquiry, verification]
    ids = [each["id"] for each in related(removed, "related-objects")]
    assert ids == [verification]
    assert refused.status == 400


@pytest.mark.asyncio
async def test_comment_is_added_to_a_case(sandbox, raw):
    case = sandbox.add_case().id
    path = f"/cases/{case}/add-comment?include=case-comments"

    commented = await raw.post(path, json=meta(message="hello"))
    empty = await raw.post(path, json=meta(message=""))

    (comment,) = commented.json["included"]
    assert comment["attributes"]["message"] == "hello"
    assert empty.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"review_type": "all_records", "review_status": "true_positive"}, 200),
        ({"review_type": "all_records", "review_status": "maybe"}, 400),
        ({"review_type": "record", "review_status": "pending"}, 400),
    ],
)
async def test_report_matches_are_reviewed(sandbox, raw, given, status):
    report = sandbox.add_report().id

    assert (
        await raw.post(f"/reports/{report}/review", json=body(**given))
    ).status == status


@pytest.mark.asyncio
async def test_templates_and_types_declare_fields(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
    related = (await raw.get(f"/inquiries/{inquiry}")).json["data"]["relationships"]
    template = related["inquiry-template"]["data"]["id"]

    listed = await raw.get("/inquiry-templates")
    shown = await raw.get(f"/inquiry-templates/{template}")
    path = f"/inquiry-template-versions?filter[inquiry-template-id]={template}"
    versions = await raw.get(path)

    assert [each["id"] for each in listed.json["data"]] == [template]
    schemas = {each["key"]: each["type"] for each in attributes(shown)["field-schemas"]}
    assert schemas["name-first"] == "string"
    assert schemas["account-purposes"] == "multi-choices"
    version = related["inquiry-template-version"]["data"]["id"]
    assert [each["id"] for each in versions.json["data"]] == [version]


@pytest.mark.asyncio
async def test_access_token_may_not_call_administration_operations(sandbox, raw):
    token = await raw.token(f"inquiry.read:{sandbox.add_inquiry().id}")

    statuses = {
        (await raw.get(path, token)).status
        for path in ("/webhooks", "/api-keys", "/api-logs", "/workflow-runs")
    }

    assert statuses == {403}
