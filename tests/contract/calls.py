"""One call of each method of each resource, with everything that it accepts."""

import enum
import inspect
from datetime import UTC, date, datetime, timedelta

import orjson

from persona_share import resources
from persona_share._protocol.http import Response
from persona_share._protocol.routes import find_route
from persona_share.model.connection import ConnectionStatus
from persona_share.resources.base import Caller
from persona_share.resources.collection import Listing
from persona_share.testing.clock import fake_runtime
from persona_share.testing.http import ScriptedSender
from tests.contract.description import operation_of


ACCOUNT = {
    "account_status": "Default",
    "address_city": "Town",
    "address_postal_code": "94111",
    "address_street_1": "1 Street",
    "address_street_2": "Floor 2",
    "address_subdivision": "CA",
    "birthdate": date(1990, 1, 2),
    "country_code": "US",
    "email_address": "someone@example.com",
    "fields": {"name": {"first": "Some"}},
    "name_first": "Some",
    "name_last": "One",
    "name_middle": "Any",
    "phone_number": "+14155550100",
    "reference_id": "ref-1",
    "selfie_photo": {"data": {"data": "aGk=", "filename": "a.png"}},
    "social_security_number": "000000000",
    "tags": ["a"],
    "include": ["account-type"],
}
INQUIRY = {
    "inquiry_template_id": "itmpl_1",
    "inquiry_template_version_id": "itmplv_1",
    "template_id": None,
    "account_id": "act_1",
    "reference_id": "ref-1",
    "creator_email_address": "someone@example.com",
    "fields": {"name-first": "Some", "birthdate": date(1990, 1, 2)},
    "initial_step_name": "start",
    "note": "a note",
    "redirect_uri": "https://example.com/done",
    "tags": ["a"],
    "theme_id": "the_1",
    "theme_set_id": "thes_1",
    "auto_create_account": True,
    "auto_create_account_reference_id": "ref-1",
    "auto_create_account_type_id": "acttp_1",
    "auto_create_inquiry_session": False,
    "auto_create_one_time_link": True,
    "expiration_after_create_interval_seconds": 60,
    "expiration_after_resume_interval_seconds": None,
    "expiration_after_start_interval_seconds": 60,
    "one_time_link_expiration_seconds": 60,
    "include": ["account"],
}


WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHAPE = {"include": ["inquiry"], "fields": {"inquiry": ["status", "fields.name-first"]}}
FIELDS = {"fields": SHAPE["fields"]}
PAGE = {"page_size": 50, "after": "inq_0"}
QUERY = {
    "and": [
        {"attribute": "status", "operator": "eq", "value": "approved"},
        {"attribute": "created-at", "operator": "gt", "value": "2026-01-01"},
    ]
}
SORT = {"attribute": "created-at", "direction": "desc"}
QUESTION = {"query": QUERY, "sort": SORT}


def tags(plural, object_id):
    """Return the calls that change the tags of one type of object."""
    return {
        f"{plural}.add_tag": lambda r: r.add_tag(object_id, "vip", **SHAPE),
        f"{plural}.add_tag by id": lambda r: r.add_tag(object_id, tag_id="tag_1"),
        f"{plural}.remove_tag": lambda r: r.remove_tag(object_id, "vip", **SHAPE),
        f"{plural}.remove_tag by id": lambda r: r.remove_tag(object_id, tag_id="tag_1"),
        f"{plural}.set_tags": lambda r: r.set_tags(object_id, ["a", "b"], **SHAPE),
        f"{plural}.set_tags by id": lambda r: r.set_tags(object_id, tag_ids=["tag_1"]),
    }


def relations(plural, object_id):
    """Return the calls that change the relations of one type of object."""
    key = {"relation_schema_key": "owner"}
    return {
        f"{plural}.add_relation": lambda r: r.add_relation(
            object_id, "act_2", **key, **SHAPE
        ),
        f"{plural}.remove_relation": lambda r: r.remove_relation(
            object_id, "act_2", **key, **SHAPE
        ),
    }


def objects(plural, object_id):
    """Return the calls that attach and detach objects."""
    return {
        f"{plural}.add_objects": lambda r: r.add_objects(object_id, ["inq_1"], **SHAPE),
        f"{plural}.remove_objects": lambda r: r.remove_objects(
            object_id, ["inq_1"], **SHAPE
        ),
    }


WEBHOOK = {
    "name": "a webhook",
    "description": "for tests",
    "url": "https://example.com/hook",
    "enabled_events": ["inquiry.approved"],
    "api_version": "2025-12-08",
    "api_key_inflection": "kebab",
    "api_attributes_blocklist": ["name-last"],
    "file_access_token_expires_in": 3600,
    "payload_filter": {"data": {"type": "inquiry"}},
    "included_allowlist": {"state": "include_all"},
    "relationship_allowlist": {"state": "include_none"},
    "custom_http_headers": {"X-API-Key": "of the receiver"},
}
API_KEY = {
    "name": "a key",
    "note": "for tests",
    "api_version": "2025-12-08",
    "api_key_inflection": "kebab",
    "api_attributes_blocklist": ["name-last"],
    "ip_address_allowlist": ["*"],
    "permissions": ["inquiry.read"],
    "file_access_token_expires_in": 3600,
}
TYPED = [
    "aamva",
    "database",
    "database_ecbsv",
    "database_phone_carrier",
    "database_serpro",
    "database_standard",
    "database_tin",
    "document",
    "email_address",
    "government_id",
    "government_id_nfc",
    "phone_number",
    "selfie",
]

CALLS = {
    # Connect
    "connections.create": lambda r: r.create(
        destination_organization_id="org_2", fields={"connect/connection": ["status"]}
    ),
    "connections.retrieve": lambda r: r.retrieve("cxn_1", **FIELDS),
    "connections.list": lambda r: r.list(
        status=ConnectionStatus.ACTIVE,
        destination_organization_id="org_2",
        **PAGE,
        **FIELDS,
    ),
    "connections.find_active": lambda r: r.find_active("org_2"),
    "connections.deactivate": lambda r: r.deactivate("cxn_1"),
    "connections.reactivate": lambda r: r.reactivate("cxn_1"),
    "share_tokens.create": lambda r: r.create(
        connection_id="cxn_1", source_id="inq_1", expires_in=timedelta(days=1), **SHAPE
    ),
    "share_tokens.create for as long as the service likes": lambda r: r.create(
        connection_id="cxn_1", source_id="inq_1"
    ),
    "share_tokens.retrieve": lambda r: r.retrieve(
        "cnst_1", peek_source_data=True, **FIELDS
    ),
    "share_tokens.list": lambda r: r.list(
        connection_id="cxn_1", status="created", direction="inbound", **PAGE, **FIELDS
    ),
    "share_tokens.redeem": lambda r: r.redeem("cnst_1"),
    "share_tokens.redeem into an object": lambda r: r.redeem(
        "cnst_1",
        destination_id="inq_2",
        field_mappings={"address_street_1": "street_address"},
        **SHAPE,
    ),
    "share_tokens.expire": lambda r: r.expire("cnst_1", **SHAPE),
    "share_tokens.wait": lambda r: r.wait("cnst_1", timeout=1),
    # Inquiries
    "inquiries.create": lambda r: r.create(**INQUIRY),
    "inquiries.retrieve": lambda r: r.retrieve("inq_1", **SHAPE),
    "inquiries.list": lambda r: r.list(
        status=["approved", "declined"],
        account_id="act_1",
        reference_id="ref-1",
        inquiry_id=["inq_1", "inq_2"],
        inquiry_template_id="itmpl_1",
        created_at_start=WHEN,
        created_at_end=WHEN,
        filter={"note": "a note", "template-id": "tmpl_1"},
        **PAGE,
        **FIELDS,
    ),
    "inquiries.search": lambda r: r.search(**QUESTION, **PAGE, **FIELDS),
    "inquiries.update": lambda r: r.update(
        "inq_1",
        note=None,
        tags=["a"],
        fields={"name-first": "Any"},
        redirect_uri=None,
        include=["account"],
    ),
    "inquiries.redact": lambda r: r.redact("inq_1", **SHAPE),
    "inquiries.print": lambda r: r.print("inq_1"),
    "inquiries.approve": lambda r: r.approve("inq_1", comment="good", **SHAPE),
    "inquiries.approve without a comment": lambda r: r.approve("inq_1"),
    "inquiries.decline": lambda r: r.decline("inq_1", comment="bad", **SHAPE),
    "inquiries.mark_for_review": lambda r: r.mark_for_review("inq_1", **SHAPE),
    "inquiries.resume": lambda r: r.resume("inq_1", **SHAPE),
    "inquiries.expire": lambda r: r.expire("inq_1", **SHAPE),
    "inquiries.generate_one_time_link": lambda r: r.generate_one_time_link(
        "inq_1", expires_in=timedelta(hours=1), **SHAPE
    ),
    "inquiries.perform_simulate_actions": lambda r: r.perform_simulate_actions(
        "inq_1",
        [
            {"type": "start_inquiry"},
            {
                "type": "create_passed_verification",
                "data": {"verification-template-id": "vtmpl_1"},
            },
        ],
        **SHAPE,
    ),
    **tags("inquiries", "inq_1"),
    "inquiry_sessions.create": lambda r: r.create(inquiry_id="inq_1", **SHAPE),
    "inquiry_sessions.retrieve": lambda r: r.retrieve("iqse_1", **SHAPE),
    "inquiry_sessions.list": lambda r: r.list(inquiry_id="inq_1"),
    "inquiry_sessions.expire": lambda r: r.expire("iqse_1", **SHAPE),
    "inquiry_sessions.expire_all": lambda r: r.expire_all(["inq_1", "inq_2"], **SHAPE),
    "inquiry_sessions.generate_one_time_link": lambda r: r.generate_one_time_link(
        "iqse_1", **SHAPE
    ),
    # Verifications
    "verifications.retrieve": lambda r: r.retrieve("ver_1", **SHAPE),
    **{
        f"verifications.retrieve_{name}": lambda r, name=name: getattr(
            r, f"retrieve_{name}"
        )("ver_1", **SHAPE)
        for name in TYPED
    },
    "verifications.redact": lambda r: r.redact("ver_1"),
    "verifications.print": lambda r: r.print("ver_1"),
    "verifications.investigation_lock": lambda r: r.investigation_lock(
        "ver_1", **SHAPE
    ),
    "verifications.investigation_unlock": lambda r: r.investigation_unlock(
        "ver_1", **SHAPE
    ),
    # Accounts
    "accounts.create": lambda r: r.create(
        **ACCOUNT, account_type_id="acttp_1", upsert_by="reference-id"
    ),
    "accounts.retrieve": lambda r: r.retrieve("act_1", **SHAPE),
    "accounts.list": lambda r: r.list(reference_id="ref-1", **PAGE, **FIELDS),
    "accounts.search": lambda r: r.search(**QUESTION, **PAGE, **FIELDS),
    "accounts.update": lambda r: r.update("act_1", **ACCOUNT),
    "accounts.redact": lambda r: r.redact("act_1", **SHAPE),
    "accounts.consolidate": lambda r: r.consolidate("act_1", ["act_2"], **SHAPE),
    "accounts.run_action": lambda r: r.run_action(
        "act_1", "accac_ABCDEFGHIJKLMNOPQRSTUVWX", parameters={"a": 1}
    ),
    "accounts.relations": lambda r: r.relations(
        "act_1", key="owner", created_at_start=WHEN, created_at_end=WHEN, **SHAPE
    ),
    **relations("accounts", "act_1"),
    **objects("accounts", "act_1"),
    **tags("accounts", "act_1"),
    # Transactions
    "transactions.create": lambda r: r.create(
        transaction_type_id="txntp_1",
        reference_id="r",
        fields={"a": 1},
        tags=["a"],
        include=["reviewer"],
    ),
    "transactions.retrieve": lambda r: r.retrieve("txn_1", **SHAPE),
    "transactions.list": lambda r: r.list(
        reference_id="r",
        transaction_type_id="txntp_1",
        identifier={"key": "a", "value": "b"},
        **PAGE,
        **FIELDS,
    ),
    "transactions.update": lambda r: r.update(
        "txn_1",
        status="a",
        reference_id="r",
        label="l",
        fields={},
        tags=[],
        include=["reviewer"],
    ),
    "transactions.redact": lambda r: r.redact("txn_1", **SHAPE),
    "transactions.redact_biometrics": lambda r: r.redact_biometrics("txn_1", **SHAPE),
    "transactions.label": lambda r: r.label(
        "txn_1", "fraud", score=0.5, model_version="1", **SHAPE
    ),
    **relations("transactions", "txn_1"),
    **objects("transactions", "txn_1"),
    **tags("transactions", "txn_1"),
    # Reports
    "reports.create": lambda r: r.create(
        type="report/watchlist",
        report_template_id="rptp_1",
        account_id="act_1",
        reference_id="r",
        query={"name-first": "Some", "name-last": "One"},
        auto_create_account=True,
        auto_create_account_reference_id="r",
        auto_create_account_type_id="acttp_1",
        processing_mode="async",
        request_flags=["a"],
        **SHAPE,
    ),
    "reports.retrieve": lambda r: r.retrieve("rep_1", **SHAPE),
    "reports.list": lambda r: r.list(
        account_id="act_1", reference_id="r", **PAGE, **FIELDS
    ),
    "reports.redact": lambda r: r.redact("rep_1", **SHAPE),
    "reports.print": lambda r: r.print("rep_1"),
    "reports.history": lambda r: r.history("rep_1", **PAGE),
    "reports.run": lambda r: r.run("rep_1", **SHAPE),
    "reports.pause": lambda r: r.pause("rep_1", **SHAPE),
    "reports.resume": lambda r: r.resume("rep_1", **SHAPE),
    "reports.dismiss": lambda r: r.dismiss(
        "rep_1", entity_id="e", dismiss_type="entity", reason="another", **SHAPE
    ),
    "reports.review": lambda r: r.review(
        "rep_1",
        review_status="false_positive",
        record_token="scrre_1",
        risk_level="immaterial",
        comment="another person",
        notify_on_change=True,
        **SHAPE,
    ),
    "reports.review of all records": lambda r: r.review(
        "rep_1", review_status="pending"
    ),
    **tags("reports", "rep_1"),
    # Documents
    "documents.retrieve": lambda r: r.retrieve("doc_1", **SHAPE),
    "documents.retrieve_generic": lambda r: r.retrieve_generic("doc_1", **SHAPE),
    "documents.retrieve_government_id": lambda r: r.retrieve_government_id(
        "doc_1", **SHAPE
    ),
    # Cases
    "cases.create": lambda r: r.create(
        case_template_id="ctmpl_1",
        creator_email_address="someone@example.com",
        case_queue_id="cq_1",
        fields={"a": 1},
        object_ids=["inq_1"],
        sla_expires_in_seconds=60,
        include=["inquiries"],
    ),
    "cases.retrieve": lambda r: r.retrieve("case_1", **SHAPE),
    "cases.list": lambda r: r.list(
        status=["open"],
        case_template_id="ctmpl_1",
        account_id="act_1",
        inquiry_id="inq_1",
        report_id="rep_1",
        reference_id="r",
        **PAGE,
        **FIELDS,
    ),
    "cases.search": lambda r: r.search(**QUESTION, **PAGE, **FIELDS),
    "cases.update": lambda r: r.update(
        "case_1",
        attachments=[{"data": "aGk=", "filename": "a.txt"}],
        case_queue_id=None,
        fields={"a": 1},
        sla_expires_in_seconds=None,
        include=["inquiries"],
    ),
    "cases.redact": lambda r: r.redact("case_1", **SHAPE),
    "cases.assign": lambda r: r.assign("case_1", "someone@example.com", **SHAPE),
    "cases.set_status": lambda r: r.set_status("case_1", "open", **SHAPE),
    **objects("cases", "case_1"),
    "cases.add_comment": lambda r: r.add_comment("case_1", "a comment", **SHAPE),
    **tags("cases", "case_1"),
    # Webhooks
    "webhooks.create": lambda r: r.create(**WEBHOOK, **SHAPE),
    "webhooks.retrieve": lambda r: r.retrieve("wbh_1", **SHAPE),
    "webhooks.list": lambda r: r.list(**PAGE, **FIELDS),
    "webhooks.update": lambda r: r.update("wbh_1", **WEBHOOK, **SHAPE),
    "webhooks.enable": lambda r: r.enable("wbh_1", **SHAPE),
    "webhooks.disable": lambda r: r.disable("wbh_1", **SHAPE),
    "webhooks.archive": lambda r: r.archive("wbh_1", **SHAPE),
    "webhooks.clone": lambda r: r.clone("wbh_1", **SHAPE),
    "webhooks.rotate_secret": lambda r: r.rotate_secret(
        "wbh_1", expires_in=timedelta(days=1), **SHAPE
    ),
    "webhook_events.search": lambda r: r.search(
        {"attribute": "status", "operator": "eq", "value": "failed"},
        sort={"attribute": "updated-at", "direction": "desc"},
        **PAGE,
        **FIELDS,
    ),
    # The schemas of objects
    "inquiry_templates.retrieve": lambda r: r.retrieve("itmpl_1", **SHAPE),
    "inquiry_templates.list": lambda r: r.list(**PAGE, **FIELDS),
    "account_types.retrieve": lambda r: r.retrieve("acttp_1", **SHAPE),
    "transaction_types.retrieve": lambda r: r.retrieve("txntp_1", **SHAPE),
    # Workflows and batch jobs
    "workflows.trigger": lambda r: r.trigger(
        "wfl_1", fields={"a": 1}, include=["workflow"]
    ),
    "workflows.retrieve_run": lambda r: r.retrieve_run("wfr_1", **SHAPE),
    "workflows.list_runs": lambda r: r.list_runs(status="completed", **PAGE, **FIELDS),
    "workflows.list_versions": lambda r: r.list_versions("wfl_1", **PAGE, **FIELDS),
    "batch_jobs.create": lambda r: r.create(
        [{"reference_id": "r-1", "name_first": "Ann"}],
        operation="upsert",
        object="account",
        lookup_field="reference_id",
        account_type_id="acttp_1",
        emit_events=False,
        **SHAPE,
    ),
    "batch_jobs.retrieve": lambda r: r.retrieve("mprtpr_1", **SHAPE),
    "batch_jobs.errors": lambda r: r.errors("mprtpr_1", page_size=50, after="10"),
    # API keys and logs
    "api_keys.create": lambda r: r.create(**API_KEY, **SHAPE),
    "api_keys.retrieve": lambda r: r.retrieve("api_1", **SHAPE),
    "api_keys.list": lambda r: r.list(name="a key", **PAGE, **FIELDS),
    "api_keys.update": lambda r: r.update("api_1", **API_KEY, **SHAPE),
    "api_keys.expire": lambda r: r.expire(
        "api_1", expires_in=timedelta(hours=1), **SHAPE
    ),
    "api_keys.clone": lambda r: r.clone("api_1", **SHAPE),
    "api_logs.retrieve": lambda r: r.retrieve("req_1", **SHAPE),
    "api_logs.list": lambda r: r.list(**PAGE, **FIELDS),
    # The rest
    "devices.retrieve": lambda r: r.retrieve("dev_1", **SHAPE),
    "devices.list": lambda r: r.list(inquiry_session_id="iqse_1"),
    "events.retrieve": lambda r: r.retrieve("evt_1", **SHAPE),
    "events.list": lambda r: r.list(
        name=["inquiry.approved"],
        object_id=["inq_1"],
        filter={"id": "evt_1"},
        **PAGE,
        **FIELDS,
    ),
    "rate_limits.list": lambda r: r.list(),
    "oauth.authorize": lambda r: r.authorize(
        client_id="org_2", scope="inquiry.read:inq_1"
    ),
}


class Plural(enum.Enum):
    """The class of each property of a client."""

    connections = resources.Connections
    share_tokens = resources.ShareTokens
    inquiries = resources.Inquiries
    inquiry_sessions = resources.InquirySessions
    verifications = resources.Verifications
    accounts = resources.Accounts
    transactions = resources.Transactions
    reports = resources.Reports
    documents = resources.Documents
    cases = resources.Cases
    devices = resources.Devices
    events = resources.Events
    webhooks = resources.Webhooks
    webhook_events = resources.WebhookEvents
    inquiry_templates = resources.InquiryTemplates
    account_types = resources.AccountTypes
    transaction_types = resources.TransactionTypes
    workflows = resources.Workflows
    batch_jobs = resources.BatchJobs
    api_keys = resources.ApiKeys
    api_logs = resources.ApiLogs
    rate_limits = resources.RateLimits
    oauth = resources.OAuth


def methods():
    """Return every public method of every resource as ``plural.method``."""
    return {
        f"{plural.name}.{name}"
        for plural in Plural
        for name in dir(plural.value)
        if not name.startswith("_")
    }


PDF = b"%PDF-1.7 nothing"
TOKEN = {
    "access-token": "persona_access_token_1",
    "token-type": "bearer",
    "expires-in": 3599,
    "scope": "inquiry.read:inq_1",
}


def caller(responses):
    """Return the caller that resources use, with a scripted sender below."""
    sender = ScriptedSender(responses)
    made = Caller(
        sender=sender,
        runtime=fake_runtime(),
        headers={},
        timeout=100.0,
        require_open=lambda: None,
    )
    return made, sender


def _object(kind, object_id, **attributes):
    return {"type": kind, "id": object_id, "attributes": attributes}


#: Responses of the operations without an example.
WITHOUT_EXAMPLE = {
    "POST /reports/{report-id}/review": (
        200,
        "",
        {"data": _object("report/screening", "rep_1", status="ready")},
    ),
    "POST /batch-jobs": (
        202,
        "",
        {"data": _object("batch-job", "mprtpr_1", status="pending")},
    ),
    "GET /batch-jobs/{batch-job-id}": (
        200,
        "",
        {"data": _object("batch-job", "mprtpr_1", status="completed")},
    ),
    "GET /batch-jobs/{batch-job-id}/errors": (
        200,
        "",
        {
            "data": [_object("batch-job-row-error", "1", **{"row-number": 1})],
            "meta": {"error-count": 1, "global-errors": []},
            "links": {},
        },
    ),
}


async def make_call(name):
    """Make one of the calls; return its requests and its result."""
    made, sender = caller([example_response] * 5)
    resource = Plural[name.partition(".")[0]].value(made)
    result = CALLS[name](resource)
    if isinstance(result, Listing) or inspect.isawaitable(result):
        result = await result
    assert result is None or not inspect.isawaitable(result)
    return sender.requests, result


def example_response(request):
    """Return the example of the operation as a response about the requested object."""
    path = request.target.partition("?")[0]
    operation = operation_of(request.method, path)
    if operation is None:
        raise AssertionError(f"{request.method} {path} is not in the description")
    if request.route.endswith("/print"):
        return response(200, PDF, "application/pdf")
    status, _, value = next(
        operation.examples(), WITHOUT_EXAMPLE.get(request.operation)
    )
    _, ids = find_route(request.method, path)
    value = about(value, ids[0] if ids else None)
    if "links" in value:
        value = value | {"links": {"prev": None, "next": None}}
    if path.startswith("/connect/share-tokens/") and request.method == "GET":
        value["data"]["attributes"]["status"] = "redeemed"
    return response(status, orjson.dumps(value))


def about(value, object_id):
    """Return an example with the ID of the requested object."""
    data = value.get("data")
    if object_id is None or not isinstance(data, dict):
        return value
    attributes = dict(data.get("attributes", {}))
    return value | {"data": data | {"id": object_id, "attributes": attributes}}


def response(status, body, kind="application/json"):
    return Response(status=status, headers={"content-type": kind}, body=body)
