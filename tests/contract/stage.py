"""A filled sandbox, and one good request for each operation that it serves."""

import attrs

from persona_share.sandbox import Sandbox
from persona_share.sandbox.resources.documents import SEGMENTS as DOCUMENTS
from persona_share.sandbox.resources.verifications import SEGMENTS as VERIFICATIONS


NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
#: The fields that the requests of these tests have.
INQUIRY_FIELDS = {
    name: "date" if name == "birthdate" else "text"
    for name in ("name-first", "name-last", "birthdate")
}
PICTURE = {"data": "aGVsbG8=", "filename": "a.png"}


@attrs.frozen
class Good:
    """A request that succeeds: what its path names, what it sends, and who sends it."""

    object_id: str | None = None
    json: object = None
    form: object = None
    query: str = ""
    by: str = "source"


def filled(**options):
    """Answer a sandbox in which every operation finds something."""
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


def good_requests(sandbox):
    """Answer a good request by operation, each about objects of its own."""
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
        "GET /rate-limits": Good(),
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
        "GET /webhooks": Good(),
        "POST /webhooks": Good(
            json=attributes(
                name="n", url="https://example.com", enabled_events=["account.created"]
            )
        ),
        f"GET {hook}": Good(webhook()),
        f"PATCH {hook}": Good(webhook(), attributes(name="m")),
        f"POST {hook}/archive": Good(webhook()),
        f"POST {hook}/enable": Good(disabled),
        f"POST {hook}/disable": Good(webhook()),
        f"POST {hook}/rotate-secret": Good(webhook(), meta(expires_in_seconds=60)),
        f"POST {hook}/clone": Good(webhook()),
        "POST /webhook-events/search": Good(
            json={
                "query": {"attribute": "status", "operator": "eq", "value": "pending"},
                "sort": {"attribute": "updated_at", "direction": "desc"},
            }
        ),
        "GET /api-logs": Good(),
        "GET /api-keys": Good(),
        "POST /api-keys": Good(json=attributes(name="n", permissions=["account.read"])),
        f"GET {key}": Good(api_key()),
        f"PATCH {key}": Good(api_key(), attributes(note="m")),
        f"POST {key}/expire": Good(api_key(), meta(expires_in_seconds=60)),
        f"POST {key}/clone": Good(api_key()),
        "POST /workflows/{workflow-id}/trigger": Good(
            workflow, attributes(fields={"amount": 1}), query="?include=workflow"
        ),
        "GET /workflow-runs": Good(),
        "GET /workflow-versions": Good(query=f"?filter[workflow-id]={workflow}"),
        "POST /batch-jobs": Good(
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
        "GET /inquiry-templates": Good(),
        "GET /inquiry-templates/{inquiry-template-id}": Good(template),
        "GET /inquiry-template-versions": Good(
            query=f"?filter[inquiry-template-id]={template}"
        ),
        "GET /account-types/{account-type-id}": Good(sandbox.add_account_type().id),
        "GET /transaction-types/{transaction-type-id}": Good(
            sandbox.add_transaction_type().id
        ),
        "GET /case-templates/{case-template-id}": Good(sandbox.add_case_template().id),
    }


def _tags(template, make):
    return {
        f"POST {template}/add-tag": Good(make(), meta(tag_name="vip")),
        f"POST {template}/remove-tag": Good(make(tags=["vip"]), meta(tag_name="vip")),
        f"POST {template}/set-tags": Good(make(), meta(tag_name=["a", "b"])),
    }


def _accounts(sandbox):
    def make(**given):
        return sandbox.add_account(**given).id

    one = "/accounts/{account-id}"
    relation = meta(relation_schema_key="owners", target_object_id=make())
    related = make()
    return {
        "GET /accounts": Good(),
        "POST /accounts": Good(
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
        "POST /accounts/search": Good(
            json={
                "query": {"attribute": "created_at", "operator": "gte", "value": "2020"}
            }
        ),
        f"DELETE {one}": Good(make()),
        f"GET {one}": Good(make(), query="?include=account-type"),
        f"PATCH {one}": Good(make(), attributes(name_first="Bea", account_status="x")),
        f"POST {one}/add-relation": Good(related, relation),
        f"GET {one}/relations": Good(related, query="?filter[key]=owners"),
        f"POST {one}/remove-relation": Good(related, relation),
        f"POST {one}/add-objects": Good(
            make(), meta(object_ids=[sandbox.add_inquiry().id])
        ),
        f"POST {one}/remove-objects": Good(
            make(), meta(object_ids=[sandbox.add_verification().id])
        ),
        f"POST {one}/consolidate": Good(make(), meta(source_account_ids=[make()])),
        f"POST {one}/run-action": Good(
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
        "GET /cases": Good(),
        "POST /cases": Good(
            json=attributes(case_template_id="ctmpl_1", fields={"x": "y"})
            | meta(object_ids=objects, sla_expires_in_seconds=60)
        ),
        "POST /cases/search": Good(
            json={"query": {"attribute": "status", "operator": "eq", "value": "open"}}
        ),
        f"DELETE {one}": Good(make()),
        f"GET {one}": Good(
            make(objects=objects), query="?include=accounts,inquiries,verifications"
        ),
        f"PATCH {one}": Good(
            make(), attributes(attachments=[PICTURE], fields={"a": 1})
        ),
        f"POST {one}/add-objects": Good(make(), meta(object_ids=objects)),
        f"POST {one}/remove-objects": Good(
            make(objects=objects), meta(object_ids=objects)
        ),
        f"POST {one}/add-comment": Good(
            make(), meta(message="hello"), query="?include=case-comments"
        ),
        f"POST {one}/assign": Good(make(), meta(user_email_address="a@example.com")),
        f"POST {one}/set-status": Good(make(), meta(status="Approved")),
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
        "GET /inquiries": Good(query="?page[size]=3"),
        "POST /inquiries": Good(
            json=attributes(
                inquiry_template_id=sandbox.add_inquiry_template().id,
                reference_id="r",
                fields={"name_first": "Ann"},
            )
            | meta(auto_create_account=True, auto_create_one_time_link=True)
        ),
        "POST /inquiries/search": Good(
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
        f"DELETE {one}": Good(make()),
        f"GET {one}": Good(
            whole, query="?include=account,verifications,documents,reports,sessions"
        ),
        f"PATCH {one}": Good(make(), attributes(note="n", fields={"birthdate": None})),
        f"GET {one}/print": Good(make()),
        f"POST {one}/approve": Good(make(), meta(comment="good")),
        f"POST {one}/decline": Good(make(), meta(comment="bad")),
        f"POST {one}/mark-for-review": Good(make()),
        f"POST {one}/expire": Good(make(status="pending")),
        f"POST {one}/resume": Good(make(status="expired")),
        f"POST {one}/generate-one-time-link": Good(make(), meta(expires_in_seconds=60)),
        f"POST {one}/perform-simulate-actions": Good(
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
        "GET /inquiry-sessions": Good(query=f"?filter[inquiry-id]={inquiry}"),
        "POST /inquiry-sessions": Good(json=attributes(inquiry_id=inquiry)),
        "POST /inquiry-sessions/expire-all": Good(json=meta(inquiry_ids=[inquiry])),
        f"GET {one}": Good(make(), query="?include=inquiry,device"),
        f"POST {one}/expire": Good(make()),
        f"POST {one}/generate-one-time-link": Good(make()),
        "GET /devices": Good(query=f"?filter[inquiry-session-id]={session}"),
        "GET /devices/{device-id}": Good(device),
        "GET /events": Good(query=f"?filter[object-id]={inquiry}"),
        "GET /events/{event-id}": Good(event),
    }


def _reports(sandbox):
    def make(**given):
        return sandbox.add_report(**given).id

    one = "/reports/{report-id}"
    account, inquiry = sandbox.add_account().id, sandbox.add_inquiry().id
    return {
        "GET /reports": Good(query=f"?filter[account-id]={account}"),
        "POST /reports": Good(
            json={
                "data": {
                    "type": "report/watchlist",
                    "attributes": {"account-id": account, "query": {"term": "x"}},
                }
            }
        ),
        f"DELETE {one}": Good(make()),
        f"GET {one}": Good(
            make(account=account, inquiry=inquiry), query="?include=account,inquiry"
        ),
        f"GET {one}/history": Good(make()),
        f"GET {one}/print": Good(make()),
        f"POST {one}/run": Good(make()),
        f"POST {one}/pause": Good(make()),
        f"POST {one}/resume": Good(make()),
        f"POST {one}/review": Good(
            make(), attributes(review_type="all_records", review_status="pending")
        ),
        f"POST {one}/dismiss": Good(make(), attributes(reason="none of ours")),
        **_tags(one, make),
    }


def _transactions(sandbox):
    def make(**given):
        return sandbox.add_transaction(**given).id

    one = "/transactions/{transaction-id}"
    account, related = sandbox.add_account().id, make()
    relation = meta(relation_schema_key="parents", target_object_id=account)
    return {
        "GET /transactions": Good(query="?filter[identifier][key]=amount"),
        "POST /transactions": Good(
            json=attributes(
                transaction_type_id=sandbox.add_transaction_type().id,
                fields={"amount": 3},
                reference_id="r",
            )
        ),
        f"DELETE {one}": Good(make()),
        f"GET {one}": Good(make(objects=[account]), query="?include=related-objects"),
        f"PATCH {one}": Good(make(), attributes(status="approved", label="good")),
        f"POST {one}/add-relation": Good(related, relation),
        f"POST {one}/remove-relation": Good(related, relation),
        f"POST {one}/add-objects": Good(
            make(), meta(object_ids=[sandbox.add_inquiry().id])
        ),
        f"POST {one}/remove-objects": Good(
            make(), meta(object_ids=[sandbox.add_verification().id])
        ),
        f"POST {one}/label": Good(
            make(),
            meta(label="fraud", score=0.5, model_version="1"),
            query="?include=transaction-label",
        ),
        f"POST {one}/redact-biometrics": Good(make()),
        **_tags(one, make),
    }


def _verifications(sandbox):
    def make(**given):
        return sandbox.add_verification(**given).id

    one = "/verifications/{verification-id}"
    inquiry = sandbox.add_inquiry().id
    return {
        f"GET {one}": Good(make(inquiry=inquiry), query="?include=inquiry"),
        f"DELETE {one}": Good(make()),
        f"GET {one}/print": Good(make()),
        f"POST {one}/investigation-lock": Good(make()),
        f"POST {one}/investigation-unlock": Good(make()),
        **{
            f"GET /verification/{segment}/{{verification-id}}": Good(make(kind=kind))
            for kind, segment in VERIFICATIONS.items()
        },
        "GET /documents/{document-id}": Good(sandbox.add_document().id),
        **{
            f"GET /document/{segment}/{{document-id}}": Good(
                sandbox.add_document(kind=kind, inquiry=inquiry).id,
                query="?include=inquiry",
            )
            for kind, segment in DOCUMENTS.items()
        },
    }
