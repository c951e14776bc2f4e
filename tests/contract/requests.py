"""A filled sandbox, and one valid request for each operation that it serves."""

import re
from contextlib import asynccontextmanager

import aiohttp
import attrs

from persona_share.sandbox import Sandbox
from persona_share.sandbox.resources.documents import SEGMENTS as DOCUMENTS
from persona_share.sandbox.resources.verifications import SEGMENTS as VERIFICATIONS
from tests.sandbox.raw import RawClient


NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
#: The fields that the requests of these tests have.
INQUIRY_FIELDS = {
    name: "date" if name == "birthdate" else "text"
    for name in ("name-first", "name-last", "birthdate")
}
PICTURE = {"data": "aGVsbG8=", "filename": "a.png"}


@attrs.frozen
class ValidRequest:
    """A request that succeeds: its object, body and query, and the calling organization."""

    object_id: str | None = None
    json: object = None
    form: object = None
    query: str = ""
    by: str = "source"


def filled(**options):
    """Return a sandbox in which every operation has an object."""
    sandbox = Sandbox(_clock=lambda: NOON, rate_limit=None, **options)
    template = {"fields": INQUIRY_FIELDS, "version_id": "itmplv_1"}
    sandbox.add_inquiry_template(id="itmpl_1", **template)
    sandbox.add_account_type(id="acttp_1")
    sandbox.add_transaction_type(id="txntp_1")
    sandbox.switches.accepts_after = 0
    sandbox.switches.redemption_seconds = 0
    sandbox.switches.consolidate_status = 202  # the live service responds 200
    return sandbox


def attributes(**given):
    return {"data": {"attributes": {k.replace("_", "-"): v for k, v in given.items()}}}


def meta(**given):
    return {"meta": {k.replace("_", "-"): v for k, v in given.items()}}


def valid_requests(sandbox):
    """Return a valid request for each operation, about objects of its own."""
    return {
        **_accounts(sandbox),
        **_cases(sandbox),
        **_inquiries(sandbox),
        **_sessions(sandbox),
        **_reports(sandbox),
        **_transactions(sandbox),
        **_verifications(sandbox),
        **_templates(sandbox),
        **_others(sandbox),
        "GET /rate-limits": ValidRequest(),
    }


def _others(sandbox):
    hook = "/webhooks/{webhook-id}"
    key = "/api-keys/{api-key-id}"

    def webhook():
        return sandbox.add_webhook("http://127.0.0.1:1/").id

    def api_key():
        return sandbox.api_key_id(sandbox.add_api_key(sandbox.source))

    disabled = webhook()
    sandbox.disable_webhook(disabled)
    workflow = sandbox.add_workflow(inputs={"amount": "number"}).id
    account = {"reference-id": "bulk-1"}
    sandbox.add_account(**account)
    return {
        "GET /webhooks": ValidRequest(),
        "POST /webhooks": ValidRequest(
            json=attributes(
                name="n", url="https://example.com", enabled_events=["account.created"]
            )
        ),
        f"GET {hook}": ValidRequest(webhook()),
        f"PATCH {hook}": ValidRequest(webhook(), attributes(name="m")),
        f"POST {hook}/archive": ValidRequest(webhook()),
        f"POST {hook}/enable": ValidRequest(disabled),
        f"POST {hook}/disable": ValidRequest(webhook()),
        f"POST {hook}/rotate-secret": ValidRequest(
            webhook(), meta(expires_in_seconds=60)
        ),
        f"POST {hook}/clone": ValidRequest(webhook()),
        "POST /webhook-events/search": ValidRequest(
            json={
                "query": {"attribute": "status", "operator": "eq", "value": "pending"},
                "sort": {"attribute": "updated_at", "direction": "desc"},
            }
        ),
        "GET /api-logs": ValidRequest(),
        "GET /api-keys": ValidRequest(),
        "POST /api-keys": ValidRequest(
            json=attributes(name="n", permissions=["account.read"])
        ),
        f"GET {key}": ValidRequest(api_key()),
        f"PATCH {key}": ValidRequest(api_key(), attributes(note="m")),
        f"POST {key}/expire": ValidRequest(api_key(), meta(expires_in_seconds=60)),
        f"POST {key}/clone": ValidRequest(api_key()),
        "POST /workflows/{workflow-id}/trigger": ValidRequest(
            workflow, attributes(fields={"amount": 1}), query="?include=workflow"
        ),
        "GET /workflow-runs": ValidRequest(),
        "GET /workflow-versions": ValidRequest(
            query=f"?filter[workflow-id]={workflow}"
        ),
        "POST /batch-jobs": ValidRequest(
            json=attributes(
                operation="update",
                object="account",
                lookup_field="reference_id",
                rows=[{"reference_id": "bulk-1", "name_first": "Ann"}, {"a": 1}],
            )
        ),
    }


def _templates(sandbox):
    template = sandbox.add_inquiry_template().id
    return {
        "GET /inquiry-templates": ValidRequest(),
        "GET /inquiry-templates/{inquiry-template-id}": ValidRequest(template),
        "GET /inquiry-template-versions": ValidRequest(
            query=f"?filter[inquiry-template-id]={template}"
        ),
        "GET /account-types/{account-type-id}": ValidRequest(
            sandbox.add_account_type().id
        ),
        "GET /transaction-types/{transaction-type-id}": ValidRequest(
            sandbox.add_transaction_type().id
        ),
        "GET /case-templates/{case-template-id}": ValidRequest(
            sandbox.add_case_template().id
        ),
    }


def _tags(template, make):
    return {
        f"POST {template}/add-tag": ValidRequest(make(), meta(tag_name="vip")),
        f"POST {template}/remove-tag": ValidRequest(
            make(tags=["vip"]), meta(tag_name="vip")
        ),
        f"POST {template}/set-tags": ValidRequest(make(), meta(tag_name=["a", "b"])),
    }


def _accounts(sandbox):
    def make(**given):
        return sandbox.add_account(**given).id

    one = "/accounts/{account-id}"
    relation = meta(relation_schema_key="owners", target_object_id=make())
    related = make()
    return {
        "GET /accounts": ValidRequest(),
        "POST /accounts": ValidRequest(
            json=attributes(
                reference_id="r-1",
                name_first="Ann",
                birthdate="1990-01-02",
                country_code="US",
                fields={"x": 1, "identification_numbers": []},
                selfie_photo={"data": PICTURE},
                tags=["a"],
            )
        ),
        "POST /accounts/search": ValidRequest(
            json={
                "query": {"attribute": "created_at", "operator": "gte", "value": "2020"}
            }
        ),
        f"DELETE {one}": ValidRequest(make()),
        f"GET {one}": ValidRequest(make(), query="?include=account-type"),
        f"PATCH {one}": ValidRequest(
            make(), attributes(name_first="Bea", account_status="x")
        ),
        f"POST {one}/add-relation": ValidRequest(related, relation),
        f"GET {one}/relations": ValidRequest(related, query="?filter[key]=owners"),
        f"POST {one}/remove-relation": ValidRequest(related, relation),
        f"POST {one}/add-objects": ValidRequest(
            make(), meta(object_ids=[sandbox.add_inquiry().id])
        ),
        f"POST {one}/remove-objects": ValidRequest(
            make(), meta(object_ids=[sandbox.add_verification().id])
        ),
        f"POST {one}/consolidate": ValidRequest(
            make(), meta(source_account_ids=[make()])
        ),
        f"POST {one}/run-action": ValidRequest(
            make(), {"data": {"account-action-id": "accac_1234567890123456789012345"}}
        ),
        **_tags(one, make),
    }


def _cases(sandbox):
    def make(**given):
        return sandbox.add_case(**given).id

    one = "/cases/{case-id}"
    inquiry = sandbox.add_inquiry().id
    objects = [inquiry, sandbox.add_account().id, sandbox.add_verification().id]
    return {
        "GET /cases": ValidRequest(),
        "POST /cases": ValidRequest(
            json=attributes(case_template_id="ctmpl_1", fields={"x": "y"})
            | meta(object_ids=objects, sla_expires_in_seconds=60)
        ),
        "POST /cases/search": ValidRequest(
            json={"query": {"attribute": "status", "operator": "eq", "value": "open"}}
        ),
        f"DELETE {one}": ValidRequest(make()),
        f"GET {one}": ValidRequest(
            make(objects=objects), query="?include=accounts,inquiries,verifications"
        ),
        f"PATCH {one}": ValidRequest(
            make(), attributes(attachments=[PICTURE], fields={"a": 1})
        ),
        f"POST {one}/add-objects": ValidRequest(make(), meta(object_ids=objects)),
        f"POST {one}/remove-objects": ValidRequest(
            make(objects=objects), meta(object_ids=objects)
        ),
        f"POST {one}/add-comment": ValidRequest(
            make(), meta(message="hello"), query="?include=case-comments"
        ),
        f"POST {one}/assign": ValidRequest(
            make(), meta(user_email_address="a@example.com")
        ),
        f"POST {one}/set-status": ValidRequest(make(), meta(status="Approved")),
        **_tags(one, make),
    }


def _inquiries(sandbox):
    def make(**given):
        return sandbox.add_inquiry(**given).id

    one = "/inquiries/{inquiry-id}"
    (whole,) = sandbox.populate(1)
    sandbox.add_document(inquiry=whole)
    sandbox.add_report(inquiry=whole)
    return {
        "GET /inquiries": ValidRequest(query="?page[size]=3"),
        "POST /inquiries": ValidRequest(
            json=attributes(
                inquiry_template_id=sandbox.add_inquiry_template().id,
                reference_id="r",
                fields={"name_first": "Ann"},
            )
            | meta(auto_create_account=True, auto_create_one_time_link=True)
        ),
        "POST /inquiries/search": ValidRequest(
            json={
                "query": {
                    "or": [
                        {"attribute": "status", "operator": "eq", "value": "completed"},
                        {"attribute": "status", "operator": "eq", "value": "created"},
                    ]
                },
                "sort": {"attribute": "created_at", "direction": "asc"},
                "page": {"size": 2},
            }
        ),
        f"DELETE {one}": ValidRequest(make()),
        f"GET {one}": ValidRequest(
            whole, query="?include=account,verifications,documents,reports,sessions"
        ),
        f"PATCH {one}": ValidRequest(
            make(), attributes(note="n", fields={"birthdate": None})
        ),
        f"GET {one}/print": ValidRequest(make()),
        f"POST {one}/approve": ValidRequest(make(), meta(comment="good")),
        f"POST {one}/decline": ValidRequest(make(), meta(comment="bad")),
        f"POST {one}/mark-for-review": ValidRequest(make()),
        f"POST {one}/expire": ValidRequest(make(status="pending")),
        f"POST {one}/resume": ValidRequest(make(status="expired")),
        f"POST {one}/generate-one-time-link": ValidRequest(
            make(), meta(expires_in_seconds=60)
        ),
        f"POST {one}/perform-simulate-actions": ValidRequest(
            make(status="created"),
            meta(simulate_actions=[{"type": "start_inquiry"}]),
        ),
        **_tags(one, make),
    }


def _sessions(sandbox):
    def make():
        return sandbox.add_inquiry_session(inquiry=sandbox.add_inquiry().id).id

    one = "/inquiry-sessions/{inquiry-session-id}"
    session, inquiry = make(), sandbox.add_inquiry().id
    device, event = (
        sandbox.add_device(session=session).id,
        sandbox.add_event(object=inquiry).id,
    )
    return {
        "GET /inquiry-sessions": ValidRequest(query=f"?filter[inquiry-id]={inquiry}"),
        "POST /inquiry-sessions": ValidRequest(json=attributes(inquiry_id=inquiry)),
        "POST /inquiry-sessions/expire-all": ValidRequest(
            json=meta(inquiry_ids=[inquiry])
        ),
        f"GET {one}": ValidRequest(make(), query="?include=inquiry,device"),
        f"POST {one}/expire": ValidRequest(make()),
        f"POST {one}/generate-one-time-link": ValidRequest(make()),
        "GET /devices": ValidRequest(query=f"?filter[inquiry-session-id]={session}"),
        "GET /devices/{device-id}": ValidRequest(device),
        "GET /events": ValidRequest(query=f"?filter[object-id]={inquiry}"),
        "GET /events/{event-id}": ValidRequest(event),
    }


def _reports(sandbox):
    def make(**given):
        return sandbox.add_report(**given).id

    one = "/reports/{report-id}"
    account, inquiry = sandbox.add_account().id, sandbox.add_inquiry().id
    return {
        "GET /reports": ValidRequest(query=f"?filter[account-id]={account}"),
        "POST /reports": ValidRequest(
            json={
                "data": {
                    "type": "report/watchlist",
                    "attributes": {"account-id": account, "query": {"term": "x"}},
                }
            }
        ),
        f"DELETE {one}": ValidRequest(make()),
        f"GET {one}": ValidRequest(
            make(account=account, inquiry=inquiry), query="?include=account,inquiry"
        ),
        f"GET {one}/history": ValidRequest(make()),
        f"GET {one}/print": ValidRequest(make()),
        f"POST {one}/run": ValidRequest(make()),
        f"POST {one}/pause": ValidRequest(make()),
        f"POST {one}/resume": ValidRequest(make()),
        f"POST {one}/review": ValidRequest(
            make(), attributes(review_type="all_records", review_status="pending")
        ),
        f"POST {one}/dismiss": ValidRequest(make(), attributes(reason="none of ours")),
        **_tags(one, make),
    }


def _transactions(sandbox):
    def make(**given):
        return sandbox.add_transaction(**given).id

    one = "/transactions/{transaction-id}"
    account, related = sandbox.add_account().id, make()
    relation = meta(relation_schema_key="parents", target_object_id=account)
    return {
        "GET /transactions": ValidRequest(query="?filter[identifier][key]=amount"),
        "POST /transactions": ValidRequest(
            json=attributes(
                transaction_type_id=sandbox.add_transaction_type().id,
                fields={"amount": 3},
                reference_id="r",
            )
        ),
        f"DELETE {one}": ValidRequest(make()),
        f"GET {one}": ValidRequest(
            make(objects=[account]), query="?include=related-objects"
        ),
        f"PATCH {one}": ValidRequest(
            make(), attributes(status="approved", label="good")
        ),
        f"POST {one}/add-relation": ValidRequest(related, relation),
        f"POST {one}/remove-relation": ValidRequest(related, relation),
        f"POST {one}/add-objects": ValidRequest(
            make(), meta(object_ids=[sandbox.add_inquiry().id])
        ),
        f"POST {one}/remove-objects": ValidRequest(
            make(), meta(object_ids=[sandbox.add_verification().id])
        ),
        f"POST {one}/label": ValidRequest(
            make(),
            meta(label="fraud", score=0.5, model_version="1"),
            query="?include=transaction-label",
        ),
        f"POST {one}/redact-biometrics": ValidRequest(make()),
        **_tags(one, make),
    }


def _verifications(sandbox):
    def make(**given):
        return sandbox.add_verification(**given).id

    one = "/verifications/{verification-id}"
    inquiry = sandbox.add_inquiry().id
    return {
        f"GET {one}": ValidRequest(make(inquiry=inquiry), query="?include=inquiry"),
        f"DELETE {one}": ValidRequest(make()),
        f"GET {one}/print": ValidRequest(make()),
        f"POST {one}/investigation-lock": ValidRequest(make()),
        f"POST {one}/investigation-unlock": ValidRequest(make()),
        **{
            f"GET /verification/{segment}/{{verification-id}}": ValidRequest(
                make(kind=kind)
            )
            for kind, segment in VERIFICATIONS.items()
        },
        "GET /documents/{document-id}": ValidRequest(sandbox.add_document().id),
        **{
            f"GET /document/{segment}/{{document-id}}": ValidRequest(
                sandbox.add_document(kind=kind, inquiry=inquiry).id,
                query="?include=inquiry",
            )
            for kind, segment in DOCUMENTS.items()
        },
    }


@attrs.frozen
class Sent:
    """The operation of a request, and the response."""

    key: str
    response: object


@asynccontextmanager
async def filled_sandbox(version):
    """Run a filled sandbox with a raw client that sends this version."""
    headers = {"Persona-Version": version}
    async with filled() as sandbox, aiohttp.ClientSession(headers=headers) as session:
        yield sandbox, RawClient(session, sandbox)
    assert sandbox.log.crashes == []


async def send(raw, key, valid):
    """Send the request of one operation."""
    method, _, template = key.partition(" ")
    path = re.sub(r"\{[^}]+\}", lambda _: valid.object_id, template) + valid.query
    bearer = getattr(raw.sandbox, valid.by).api_key
    options = {} if valid.json is None else {"json": valid.json}
    if valid.form is not None:
        options = {"data": valid.form}
    return Sent(key, await raw.send(method, path, bearer, **options))


async def send_all(sandbox, raw):
    """Send a valid request for each operation that the sandbox serves."""
    sent = [await send(raw, *each) for each in valid_requests(sandbox).items()]
    sent += [each async for each in _send_oauth(sandbox, raw)]
    sent += [each async for each in _send_retrievals(raw, sent)]
    return sent + [each async for each in _send_connect(sandbox, raw)]


async def _send_retrievals(raw, sent):
    """Retrieve objects that earlier requests created."""
    ids = {each.key: each.response for each in sent}
    job = ids["POST /batch-jobs"].json["data"]["id"]
    run = ids["POST /workflows/{workflow-id}/trigger"].json["data"]["id"]
    log = ids["GET /api-keys"].headers["Request-Id"]
    yield await send(raw, "GET /batch-jobs/{batch-job-id}", ValidRequest(job))
    yield await send(raw, "GET /batch-jobs/{batch-job-id}/errors", ValidRequest(job))
    yield await send(raw, "GET /workflow-runs/{workflow-run-id}", ValidRequest(run))
    yield await send(raw, "GET /api-logs/{api-log-id}", ValidRequest(log))


async def _send_oauth(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    scope = f"inquiry.read:{inquiry}"
    form = {
        "client-id": sandbox.destination.id,
        "response-type": "code",
        "scope": scope,
    }
    issued = await send(raw, "POST /oauth/authorize", ValidRequest(form=form))
    yield issued
    form = {"code": issued.response.json["code"], "grant-type": "authorization_code"}
    yield await send(
        raw, "POST /oauth/token", ValidRequest(form=form, by="destination")
    )


async def _send_connect(sandbox, raw):
    one, token = "/connect/connections/{connection-id}", "/connect/share-tokens"
    wanted = attributes(destination_organization_id=sandbox.destination.id)
    made = await send(raw, "POST /connect/connections", ValidRequest(json=wanted))
    yield made
    connection = made.response.json["data"]["id"]
    yield await send(raw, "GET /connect/connections", ValidRequest())
    yield await send(raw, f"GET {one}", ValidRequest(connection))
    sources = [
        sandbox.add_inquiry().id,
        sandbox.add_account().id,
        sandbox.add_transaction().id,
        sandbox.add_verification(kind="email-address").id,
    ]
    given = None
    for source in sources:
        body = attributes(connection_id=connection, source_id=source)
        given = await send(raw, f"POST {token}", ValidRequest(json=body))
        yield given
        object_id = given.response.json["data"]["id"]
        peek = ValidRequest(object_id, query="?peek-source-data=true", by="destination")
        yield await send(raw, f"GET {token}/{{share-token-id}}", peek)
        yield await send(
            raw, f"GET {token}/{{share-token-id}}", ValidRequest(object_id)
        )
    object_id = given.response.json["data"]["id"]
    redeem = f"POST {token}/{{share-token-id}}/redeem"
    yield await send(raw, redeem, ValidRequest(object_id, by="destination"))
    yield await send(raw, f"GET {token}/{{share-token-id}}", ValidRequest(object_id))
    yield await send(raw, f"GET {token}", ValidRequest(by="destination"))
    body = attributes(connection_id=connection, source_id=sources[0])
    spare = await send(raw, f"POST {token}", ValidRequest(json=body))
    object_id = spare.response.json["data"]["id"]
    yield await send(
        raw, f"POST {token}/{{share-token-id}}/expire", ValidRequest(object_id)
    )
    yield await send(raw, f"POST {one}/deactivate", ValidRequest(connection))
    yield await send(raw, f"POST {one}/reactivate", ValidRequest(connection))
