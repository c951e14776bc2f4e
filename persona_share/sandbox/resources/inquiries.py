"""Inquiries, with about 9 kB of JSON each, like those of a long template."""

from collections.abc import Mapping
from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    BOOLEAN,
    INTEGER,
    INTEGER_OR_NULL,
    OBJECT_OR_NULL,
    STRING,
    STRING_OR_NULL,
    STRINGS,
    STRINGS_OR_NULL,
    Shape,
)
from persona_share.sandbox.jsonapi.objects import (
    emit,
    field_values,
    kebab_keys,
    relationship,
    relationship_to,
    stored_tags,
    timestamp,
    timestamp_in,
    typed_fields,
)
from persona_share.sandbox.jsonapi.operations import (
    Change,
    Operation,
    Routes,
    attributes_of,
    conflict,
    create_handler,
    meta_of,
    redact_route,
    referenced_record,
    tag_routes,
    unless_null,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    Filters,
    created_since,
    created_until,
    equals,
    has_id,
    is_one_of,
    list_handler,
    of_attribute,
    of_relationship,
    print_handler,
    relates_to,
    retrieve_handler,
    search_handler,
)
from persona_share.sandbox.resources.accounts import new_account
from persona_share.sandbox.resources.inquiry_sessions import (
    expire_sessions,
    new_session,
    one_time_link,
)
from persona_share.sandbox.resources.templates import (
    default_template,
    field_kinds,
    kinds_of,
    known_template,
    template_of_version,
    template_references,
)
from persona_share.sandbox.resources.verifications import add_verification
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.runtime import Random
from persona_share.sandbox.state.fake_people import Person, fake_person, words
from persona_share.sandbox.state.organizations import CREDENTIAL_PREFIX, Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Caller
from persona_share.sandbox.state.state import State


#: The timestamps that each status sets.
STATUS_TIMESTAMPS: Final[dict[str, tuple[str, ...]]] = {
    "created": (),
    "pending": ("started-at",),
    "expired": ("started-at", "expired-at"),
    "failed": ("started-at", "failed-at"),
    "completed": ("started-at", "completed-at"),
    "needs_review": ("started-at", "completed-at", "marked-for-review-at"),
    "approved": ("started-at", "completed-at", "decisioned-at"),
    "declined": ("started-at", "completed-at", "decisioned-at"),
}
#: The fields of every inquiry and their kinds.
DEFAULT_FIELDS: Final = {
    **dict.fromkeys(words("name-first name-middle name-last"), "text"),
    **dict.fromkeys(words("address-street-1 address-street-2 address-city"), "text"),
    **dict.fromkeys(words("address-subdivision address-postal-code"), "text"),
    "address-country-code": "text",
    "birthdate": "date",
    **dict.fromkeys(words("email-address phone-number identification-number"), "text"),
    "selected-country-code": "choices",
    "selected-id-class": "choices",
    "account-purposes": "multi_choices",
    "application-metadata": "json",
    "proof-of-address": "generic",
    "current-government-id": "government_id",
    "current-selfie": "selfie",
}
_TIMESTAMPS: Final = (
    "started-at",
    "expires-at",
    "completed-at",
    "failed-at",
    "marked-for-review-at",
    "decisioned-at",
    "expired-at",
    "redacted-at",
)


def default_inquiry_template(state: State, owner: Environment) -> Record:
    """Return the owner's default inquiry template."""
    return default_template(state, owner, "inquiry-template", KINDS)


def template_of(state: State, record: Record) -> Record:
    """Return the template of an inquiry."""
    identifier = record.relationships["inquiry-template"]["data"]
    template = state.records.get(identifier["id"])
    return template or default_inquiry_template(state, record.owner)


def _requested_template(state: State, owner: Environment, given: Json) -> Record:
    """Return the template that a body names, the default one if it names none."""
    template = default_inquiry_template(state, owner)
    for key in ("template-id", "inquiry-template-id"):
        if key in given:
            template = known_template(
                state, owner, "inquiry-template", given[key], status=400
            )
    if "inquiry-template-version-id" in given:
        version_id = given["inquiry-template-version-id"]
        template = template_of_version(state, owner, version_id)
    return template


def add_inquiry(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    person: Person | None = None,
) -> ObjectRef:
    """Create an inquiry, completed unless ``status`` says otherwise.

    ``account=`` names an account of the same owner.
    """
    given = kebab_keys(attributes)
    given["tags"] = stored_tags(state, "inquiry", given.get("tags", ()))
    inquiry_id = given.pop("id", None) or state.runtime.new_id("inq")
    account = given.pop("account", None)
    person = person or fake_person(state.runtime.stream("people"))
    fields = fields_of(person, state.runtime.stream("fields"))
    fields |= typed_fields(given.pop("fields", {}))
    relationships = {}
    if account is not None:
        relationships["account"] = relationship_to(state, account, "account", owner)
    record = new_inquiry(
        state,
        owner,
        status=given.get("status", "completed"),
        fields=fields,
        attributes=given,
        relationships=relationships,
        inquiry_id=inquiry_id,
    )
    new_session(state, record)
    return ObjectRef(record.id, record.type)


def new_inquiry(
    state: State,
    owner: Environment,
    *,
    status: str,
    fields: Json,
    attributes: Json,
    relationships: dict[str, Json],
    inquiry_id: str | None = None,
    template: Record | None = None,
) -> Record:
    """Create an inquiry without a session, of the default template unless given."""
    template = template or default_inquiry_template(state, owner)
    record = Record(
        inquiry_id or state.runtime.new_id("inq"),
        "inquiry",
        _attributes(state, status, fields) | attributes,
        _relationships() | template_references(template) | relationships,
        owner,
    )
    state.records.add(record)
    return record


def blank_fields() -> Json:
    """Return the default fields without values."""
    return {
        name: {"type": "string" if kind == "text" else kind, "value": None}
        for name, kind in DEFAULT_FIELDS.items()
    }


def _attributes(state: State, status: str, fields: Json) -> Json:
    now = timestamp(state.runtime.now())
    timestamps = dict.fromkeys(_TIMESTAMPS) | dict.fromkeys(
        STATUS_TIMESTAMPS.get(status, ()), now
    )
    return {
        "status": status,
        "reference-id": None,
        "note": None,
        "behaviors": behaviors(state.runtime.stream("behaviors")),
        "tags": [],
        "creator": "sandbox@example.com",
        "reviewer-comment": None,
        "created-at": now,
        "updated-at": now,
        **timestamps,
        "previous-step-name": "start",
        "next-step-name": "success" if timestamps["completed-at"] else "verification",
        "fields": fields,
    }


def _relationships() -> dict[str, Json]:
    return {
        "account": {"data": None},
        "template": {"data": None},
        "transaction": {"data": None},
        "reviewer": {"data": None},
        "reports": {"data": []},
        "verifications": {"data": []},
        "sessions": {"data": []},
        "documents": {"data": []},
        "selfies": {"data": []},
    }


_BOOLEAN_FIELDS: Final = (
    "accepts-terms-of-service",
    "accepts-electronic-communication",
    "acts-on-own-behalf",
    "has-additional-citizenship",
    "has-changed-name",
    "holds-public-office",
    "is-beneficial-owner",
    "is-tax-resident-elsewhere",
    "lives-at-mailing-address",
    "plans-cross-border-transfers",
    "receives-marketing-by-email",
    "related-to-public-official",
    "uses-intermediary-bank",
)
_TEXT_FIELDS: Final = (
    "account-opening-reason",
    "additional-income-description",
    "business-activity-description",
    "description-of-relationship-to-beneficiary",
    "expected-account-activity",
    "expected-countries-of-transfer",
    "explanation-of-address-difference",
    "main-source-of-funds",
    "main-source-of-wealth",
    "nature-of-employment",
    "previous-employment-history",
    "remarks-of-the-applicant",
    "remarks-of-the-interviewer",
    "supporting-documents-overview",
    "tax-identification-explanation",
)
_NUMBER_FIELDS: Final = (
    "expected-monthly-deposits",
    "expected-monthly-withdrawals",
    "gross-annual-income",
    "household-size",
    "largest-expected-transfer",
    "liquid-net-worth",
    "months-at-current-address",
    "months-at-current-employer",
    "number-of-dependants",
    "total-net-worth",
)
_WORDS: Final = words(
    "salary from a studio that restores old instruments and sells them abroad "
    "savings held since the sale of a small orchard and two cottages by the river "
    "regular payments for teaching evening classes in drawing and letter carving"
)
_BEHAVIORS: Final = (
    "autofill-cancels",
    "autofill-starts",
    "debugger-attached",
    "devtools-open",
    "distraction-events",
    "hesitation-count",
    "hesitation-time",
    "mobile-sdk-version-less-than-minimum-count",
    "request-spoof-attempts",
    "shortcut-copies",
    "shortcut-pastes",
    "user-agent-spoof-attempts",
)


#: All fields of the default template and their kinds.
KINDS: Final = {
    **DEFAULT_FIELDS,
    **dict.fromkeys(_TEXT_FIELDS, "text"),
    **dict.fromkeys(_BOOLEAN_FIELDS, "boolean"),
    **dict.fromkeys(_NUMBER_FIELDS, "number"),
}


def fields_of(person: Person, random: Random) -> Json:
    """Return about seventy fields with values."""
    return (
        _identity_fields(person)
        | _address_fields(person)
        | _employment_fields(person)
        | _questionnaire_fields(random)
    )


def behaviors(random: Random) -> Json:
    """Return counters of the person's behavior in the form."""
    counters: Json = {name: random.randrange(9) for name in _BEHAVIORS}
    return counters | {"completion-time": round(random.uniform(20, 600), 3)}


def _text(value: str | None) -> Json:
    return {"type": "string", "value": value}


def _identity_fields(person: Person) -> Json:
    return {
        "name-first": _text(person.first),
        "name-middle": _text(person.middle),
        "name-last": _text(person.last),
        "address-street-1": _text(person.street),
        "address-street-2": _text(person.unit),
        "address-city": _text(person.town),
        "address-subdivision": _text(person.region),
        "address-postal-code": _text(person.postal_code),
        "address-country-code": _text("US"),
        "birthdate": {"type": "date", "value": person.birthdate},
        "email-address": _text(person.email),
        "phone-number": _text(person.phone),
        "identification-number": _text(person.number),
    }


def _address_fields(person: Person) -> Json:
    parts = {
        "street-1": person.street,
        "street-2": person.unit,
        "city": person.town,
        "subdivision": person.region,
        "postal-code": person.postal_code,
        "country-code": "US",
    }
    kinds = ("mailing-address", "previous-address", "employer-address")
    return {f"{k}-{name}": _text(value) for k in kinds for name, value in parts.items()}


def _employment_fields(person: Person) -> Json:
    return {
        "employer-name": _text(person.firm),
        "occupation": _text(person.trade),
        "emergency-contact-name": _text(f"{person.middle} {person.last}"),
        "emergency-contact-phone-number": _text(person.phone),
        "selected-country-code": {"type": "choices", "value": "US"},
        "selected-id-class": {"type": "choices", "value": "dl"},
        "account-purposes": {"type": "multi_choices", "value": ["salary", "savings"]},
        "application-metadata": {"type": "json", "value": {"channel": "web", "Try": 1}},
        "proof-of-address": {"type": "generic", "value": None},
        "current-government-id": {"type": "government_id", "value": None},
        "current-selfie": {"type": "selfie", "value": None},
    }


def _questionnaire_fields(random: Random) -> Json:
    choices: Json = {
        name: {"type": "boolean", "value": random.random() < 0.5}  # noqa: PLR2004 - even odds
        for name in _BOOLEAN_FIELDS
    }
    figures: Json = {
        name: {"type": "number", "value": random.randrange(1, 90_000)}
        for name in _NUMBER_FIELDS
    }
    sentences: Json = {name: _text(_sentence(random)) for name in _TEXT_FIELDS}
    return choices | figures | sentences


def _sentence(random: Random) -> str:
    return " ".join(random.choices(_WORDS, k=31)).capitalize() + "."


CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            **dict.fromkeys(
                (
                    "template-id",
                    "inquiry-template-id",
                    "inquiry-template-version-id",
                    "reference-id",
                    "account-id",
                    "creator-email-address",
                    "theme-id",
                    "theme-set-id",
                    "redirect-uri",
                    "note",
                    "initial-step-name",
                ),
                STRING_OR_NULL,
            ),
            "fields": OBJECT_OR_NULL,
            "tags": STRINGS_OR_NULL,
        }
    },
    "meta": {
        "auto-create-account": BOOLEAN,
        "auto-create-account-type-id": STRING,
        "auto-create-account-reference-id": STRING,
        "auto-create-inquiry-session": BOOLEAN,
        "auto-create-one-time-link": BOOLEAN,
        "expiration-after-create-interval-seconds": INTEGER_OR_NULL,
        "expiration-after-start-interval-seconds": INTEGER_OR_NULL,
        "expiration-after-resume-interval-seconds": INTEGER_OR_NULL,
        "one-time-link-expiration-seconds": INTEGER_OR_NULL,
    },
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {
            "note": STRING_OR_NULL,
            "fields": OBJECT_OR_NULL,
            "tags": STRINGS,
            "redirect-uri": STRING_OR_NULL,
        }
    }
}
DECISION: Final[Shape] = {"meta": {"comment": STRING}}
ONE_TIME_LINK: Final[Shape] = {"meta": {"expires-in-seconds": INTEGER}}


_UNFINISHED: Final = frozenset({"created", "pending", "expired"})


def create(state: State, caller: Caller, body: Json) -> tuple[Record, Json]:
    """Create an inquiry with the status created."""
    given, meta = unless_null(attributes_of(body)), unless_null(meta_of(body))
    template = _requested_template(state, caller.environment, given)
    fields = blank_fields() | field_values(
        state,
        given.get("fields", {}),
        kinds_of(template),
        declared_only=state.switches.creation_checks_fields,
    )
    relationships = _requested_relationships(state, caller, given, meta)
    attributes = {
        "note": given.get("note"),
        "reference-id": given.get("reference-id"),
        "tags": stored_tags(state, "inquiry", given.get("tags", ())),
        "creator": given.get("creator-email-address", "API"),
    }
    seconds = meta.get("expiration-after-create-interval-seconds")
    if seconds is not None:
        attributes["expires-at"] = timestamp_in(state, seconds)
    record = new_inquiry(
        state,
        caller.environment,
        status="created",
        fields=fields,
        attributes=attributes,
        relationships=relationships,
        template=template,
    )
    return record, _session_meta(state, record, meta)


def _requested_relationships(
    state: State, caller: Caller, given: Json, meta: Json
) -> Json:
    relationships: Json = {}
    if "template-id" in given:
        relationships["template"] = relationship("template", given["template-id"])
    if "account-id" in given:
        relationships["account"] = {
            "data": referenced_record(
                state, given["account-id"], caller, "account"
            ).identifier
        }
    elif meta.get("auto-create-account"):
        reference_id = meta.get("auto-create-account-reference-id")
        reference_id = reference_id or given.get("reference-id")
        account = new_account(
            state, caller.environment, {}, {"reference-id": reference_id}
        )
        relationships["account"] = {"data": account.identifier}
    return relationships


def _session_meta(state: State, record: Record, meta: Json) -> Json:
    secrets: Json = dict.fromkeys(
        ("session-token", "one-time-link", "one-time-link-short")
    )
    if meta.get("auto-create-inquiry-session"):
        new_session(state, record)
        secrets["session-token"] = _session_token(state)
    if meta.get("auto-create-one-time-link"):
        secrets |= one_time_link(state, record, {})
    return secrets


def update(state: State, record: Record, body: Json) -> None:
    """Replace the given attributes; fields are merged."""
    given = attributes_of(body)
    fields = record.attributes["fields"]
    kinds = field_kinds(fields.items()) | dict(kinds_of(template_of(state, record)))
    fields |= field_values(state, given.get("fields") or {}, kinds, declared_only=True)
    if "note" in given:
        record.attributes["note"] = given["note"]
    if "tags" in given:
        record.attributes["tags"] = stored_tags(state, "inquiry", given["tags"])


def decision(status: str) -> Change:
    """Return the change that decides on an inquiry, or marks it for review."""

    def decide(state: State, record: Record, body: Json) -> None:
        if record.attributes["status"] == status:
            raise conflict(state, f"the inquiry is {status} already")
        unfinished = record.attributes["status"] in _UNFINISHED
        if unfinished and not state.switches.decides_unfinished:
            raise conflict(state, "the inquiry is not completed")
        set_status(state, record, status)
        comment = meta_of(body).get("comment")
        if comment is not None:
            record.attributes["reviewer-comment"] = comment

    return decide


def expire(state: State, record: Record, _body: Json) -> None:
    """Expire an inquiry and its sessions; it can be resumed."""
    if record.attributes["status"] not in {"created", "pending"}:
        raise conflict(state, "the inquiry is neither created nor pending")
    set_status(state, record, "expired")
    expire_sessions(state, record)


def resume(state: State, record: Record, _body: Json) -> Json:
    """Resume an inquiry."""
    if record.attributes["status"] not in {"created", "pending", "expired"}:
        raise conflict(state, "the inquiry is neither created, pending nor expired")
    set_status(state, record, "pending")
    record.attributes["expired-at"] = None
    new_session(state, record)
    return {"session-token": _session_token(state)}


def link(state: State, record: Record, body: Json) -> Json:
    """Create a session and return the link to it."""
    if meta_of(body).get("expires-in-seconds", 1) <= 0:
        pointer = "/meta/expires-in-seconds"
        details = "meta.expires_in_seconds must be positive"
        raise ApiError(400, details, pointer=pointer)
    new_session(state, record)
    return one_time_link(state, record, body)


def set_status(state: State, record: Record, status: str) -> None:
    """Set a status and its timestamps."""
    now = timestamp(state.runtime.now())
    for name in STATUS_TIMESTAMPS.get(status, ()):
        if record.attributes[name] is None or name == STATUS_TIMESTAMPS[status][-1]:
            record.attributes[name] = now
    record.attributes["status"] = status


def _session_token(state: State) -> str:
    return state.runtime.new_secret(f"{CREDENTIAL_PREFIX}session_", 32)


SIMULATE: Final[Shape] = {
    "meta*": {
        "simulate-actions*": [
            {"type*": STRING, "data": {"verification-template-id*": STRING}}
        ]
    }
}
#: The status after an action, and its event.
_STATUSES: Final[Mapping[str, tuple[str, str]]] = {
    "start_inquiry": ("pending", "inquiry.started"),
    "complete_inquiry": ("completed", "inquiry.completed"),
    "fail_inquiry": ("failed", "inquiry.failed"),
    "expire_inquiry": ("expired", "inquiry.expired"),
    "mark_for_review_inquiry": ("needs_review", "inquiry.marked-for-review"),
    "approve_inquiry": ("approved", "inquiry.approved"),
    "decline_inquiry": ("declined", "inquiry.declined"),
}
_VERIFICATIONS: Final = {
    "create_passed_verification": "passed",
    "create_failed_verification": "failed",
}


def simulate(state: State, record: Record, body: Json) -> None:
    """Run the actions in order, after all of them were validated."""
    actions = meta_of(body)["simulate-actions"]
    for each in actions:
        creates = each["type"] in _VERIFICATIONS
        is_known = creates or each["type"] in _STATUSES
        if not is_known or creates != ("data" in each):
            raise ApiError(400, "meta.simulate_actions contains an unknown action")
    for each in actions:
        if each["type"] in _STATUSES:
            status, event = _STATUSES[each["type"]]
            set_status(state, record, status)
            emit(state, record, event)
        else:
            status = _VERIFICATIONS[each["type"]]
            values = {"inquiry": record.id, "status": status}
            add_verification(state, record.owner, values)


FILTERS: Final[Filters] = {
    "inquiry-id": has_id,
    "account-id": relates_to("account"),
    "note": equals("note"),
    "reference-id": equals("reference-id"),
    "inquiry-template-id": relates_to("inquiry-template"),
    "template-id": relates_to("template"),
    "status": is_one_of("status"),
    "created-at-start": created_since,
    "created-at-end": created_until,
}
_INQUIRY: Final = "/inquiries/{inquiry-id}"
_SEARCHED: Final = {
    "status": of_attribute("status"),
    "created_at": of_attribute("created-at"),
    "updated_at": of_attribute("updated-at"),
    "reference_id": of_attribute("reference-id"),
    "inquiry_template_id": of_relationship("inquiry-template"),
}
ROUTES: Final[Routes] = {
    "GET /inquiries": Operation("list-all-inquiries", list_handler("inquiry", FILTERS)),
    "POST /inquiries": Operation(
        "create-an-inquiry",
        create_handler("inquiry", create, CREATE, event="inquiry.created"),
    ),
    "POST /inquiries/search": Operation(
        "search-inquiries", search_handler("inquiry", _SEARCHED)
    ),
    f"GET {_INQUIRY}": Operation("retrieve-an-inquiry", retrieve_handler("inquiry")),
    f"PATCH {_INQUIRY}": Operation(
        "update-an-inquiry", update_handler("inquiry", update, UPDATE)
    ),
    **redact_route("inquiry", _INQUIRY, "redact-an-inquiry"),
    f"GET {_INQUIRY}/print": Operation(
        "print-an-inquiry-pdf", print_handler("inquiry")
    ),
    f"POST {_INQUIRY}/approve": Operation(
        "approve-an-inquiry",
        update_handler(
            "inquiry", decision("approved"), DECISION, event="inquiry.approved"
        ),
    ),
    f"POST {_INQUIRY}/decline": Operation(
        "decline-an-inquiry",
        update_handler(
            "inquiry", decision("declined"), DECISION, event="inquiry.declined"
        ),
    ),
    f"POST {_INQUIRY}/mark-for-review": Operation(
        "mark-an-inquiry-for-review",
        update_handler(
            "inquiry", decision("needs_review"), event="inquiry.marked-for-review"
        ),
    ),
    f"POST {_INQUIRY}/expire": Operation(
        "expire-an-inquiry", update_handler("inquiry", expire, event="inquiry.expired")
    ),
    f"POST {_INQUIRY}/resume": Operation(
        "resume-an-inquiry", update_handler("inquiry", resume)
    ),
    f"POST {_INQUIRY}/generate-one-time-link": Operation(
        "generate-a-one-time-link", update_handler("inquiry", link, ONE_TIME_LINK)
    ),
    f"POST {_INQUIRY}/perform-simulate-actions": Operation(
        "inquiries-perform-simulate-actions",
        update_handler("inquiry", simulate, SIMULATE),
    ),
    **tag_routes(
        "inquiry",
        _INQUIRY,
        "inquiries-add-tag",
        "inquiries-remove-tag",
        "inquiries-set-all-tags",
    ),
}
