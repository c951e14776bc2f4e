"""Templates and types: the schemas of the fields of inquiries, accounts and others.

Each environment has a default one of each kind, created when it is first needed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from persona_share.sandbox.jsonapi.objects import (
    kebab_keys,
    relationship,
    timestamp,
)
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.read import (
    Filters,
    check_include,
    list_handler,
    requested_record,
    retrieve_handler,
)
from persona_share.sandbox.jsonapi.rendering import json_response
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


#: The types of field values, by the kinds of `field_values`.
TYPES: Final[Mapping[str, str]] = {
    "text": "string",
    "hash_array": "array",
    "multi_choices": "multi-choices",
    "generic": "platform-file",
    "government_id": "platform-file",
    "selfie": "platform-file",
}
_PREFIXES: Final[Mapping[str, str]] = {
    "account-type": "acttp",
    "case-template": "ctmpl",
    "inquiry-template": "itmpl",
    "transaction-type": "txntp",
}
_NAMES: Final[Mapping[str, str]] = {
    "account-type": "User",
    "case-template": "Sandbox case",
    "inquiry-template": "Sandbox template",
    "transaction-type": "Sandbox transaction",
}


def add_template(
    state: State,
    owner: Environment,
    family: str,
    fields: Mapping[str, str],
    attributes: Mapping[str, Any],
) -> Record:
    """Add a template or type; ``fields`` are names and kinds of field values."""
    given = kebab_keys(attributes)
    version_id = given.pop("version-id", None)
    object_id = given.pop("id", None) or state.runtime.new_id(_PREFIXES[family])
    defaults: Json = {"name": _NAMES[family], **_specific_attributes(state, family)}
    defaults["field-schemas"] = [field_schema(*each) for each in fields.items()]
    record = Record(object_id, family, defaults | given, {}, owner)
    record.internal["kinds"] = dict(fields)
    state.records.add(record)
    if family == "inquiry-template":
        version = _add_version(state, record, version_id)
        record.relationships["latest-published-version"] = {"data": version.identifier}
    if family == "account-type":
        record.relationships["account-statuses"] = {"data": []}
        record.relationships["default-account-status"] = {"data": None}
    return record


def default_template(
    state: State, owner: Environment, family: str, fields: Mapping[str, str]
) -> Record:
    """Return the owner's default template or type, creating it if necessary."""
    found = state.defaults.get((owner.id, family))
    if found is None:
        found = add_template(state, owner, family, fields, {})
        state.defaults[owner.id, family] = found
    return found


def known_template(
    state: State, owner: Environment, family: str, object_id: str, *, status: int
) -> Record:
    """Return the owner's template or type of this id.

    Raises:
        ApiError: with this status if there is none.
    """
    found = state.records.owned(family, object_id, owner)
    if found is None:
        name = f"data.attributes.{family.replace('-', '_')}_id"
        pointer = f"/data/attributes/{family}-id"
        details = None if status == 404 else f"{name} is not found"  # noqa: PLR2004 - a status
        raise ApiError(status, details, pointer=pointer)
    return found


def template_of_version(state: State, owner: Environment, version_id: str) -> Record:
    """Return the inquiry template of a version.

    Raises:
        ApiError: 400 if there is no such version.
    """
    version = known_template(
        state, owner, "inquiry-template-version", version_id, status=400
    )
    template = state.records.get(version.internal["template"])
    if template is None:
        raise ApiError(400, "data.attributes.inquiry_template_version_id is not found")
    return template


def kinds_of(template: Record) -> Mapping[str, str]:
    """Return the kinds of the declared fields by name."""
    kinds: Mapping[str, str] = template.internal["kinds"]
    return kinds


def field_schema(name: str, kind: str) -> Json:
    """Return the schema of one field."""
    schema: Json = {
        "type": TYPES.get(kind, kind),
        "key": name,
        "label": name.replace("-", " ").replace("_", " ").capitalize(),
        "config": {"required": False, "redaction-policy": "none"},
    }
    if kind in {"choices", "multi_choices"}:
        schema["config"]["allow-empty"] = True
    return schema


def _specific_attributes(state: State, family: str) -> Json:
    now = timestamp(state.runtime.now())
    if family == "inquiry-template":
        return {
            "status": "active",
            "embedded-flow-domain-allowlist": [],
            "hosted-flow-subdomains": [],
            "hosted-flow-redirect-uri-schemes": [],
        }
    attributes: Json = {"created-at": now, "updated-at": now}
    if family == "case-template":
        attributes |= {"status": "active", "resolutions": ["Approved", "Declined"]}
        attributes["archived-at"] = None
    return attributes


def _add_version(state: State, template: Record, version_id: str | None) -> Record:
    now = timestamp(state.runtime.now())
    version = Record(
        version_id or state.runtime.new_id("itmplv"),
        "inquiry-template-version",
        {
            "name-display": template.attributes["name"],
            "status": "published",
            "live": True,
            "last-updater": None,
            "enabled-locales": ["en"],
            "created-at": now,
            "updated-at": now,
            "published-at": now,
        },
        {"inquiry-template": relationship("inquiry-template", template.id)},
        template.owner,
    )
    version.internal["template"] = template.id
    state.records.add(version)
    return version


def template_references(template: Record) -> dict[str, Json]:
    """Return the relationships of an inquiry to its template and version."""
    version = template.relationships["latest-published-version"]["data"]
    return {
        "inquiry-template": {"data": template.identifier},
        "inquiry-template-version": {"data": version},
    }


def list_translations(state: State, request: Request) -> Response:
    """Return the translations of a template; the sandbox's have none."""
    check_include(request, "inquiry-template")
    template = requested_record(state, request, "inquiry-template")
    data = {
        "type": "inquiry-template-translations",
        "id": template.id,
        "attributes": {"translations": []},
    }
    return json_response({"data": data}, request)


def field_kinds(fields: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return the kinds of fields from their types, for fields without a template."""
    kinds = {v: k for k, v in TYPES.items() if v != "platform-file"}
    found = {}
    for name, field in fields:
        type_name = str(field.get("type") if isinstance(field, dict) else "string")
        found[name] = kinds.get(type_name, type_name)
    return found


def ref_of(record: Record) -> ObjectRef:
    """Return the reference of a record."""
    return ObjectRef(record.id, record.type)


VERSION_FILTERS: Final[Filters] = {
    "inquiry-template-id": lambda record, value: record.internal["template"] == value,
}
ROUTES: Final[Routes] = {
    "GET /inquiry-templates": Operation(
        "list-all-inquiry-templates", list_handler("inquiry-template", {})
    ),
    "GET /inquiry-templates/{inquiry-template-id}": Operation(
        "retrieve-an-inquiry-template", retrieve_handler("inquiry-template")
    ),
    "GET /inquiry-template-versions": Operation(
        "list-all-inquiry-template-versions",
        list_handler(
            "inquiry-template-version",
            VERSION_FILTERS,
            required=("inquiry-template-id",),
        ),
    ),
    "GET /account-types/{account-type-id}": Operation(
        "retrieve-an-account-type", retrieve_handler("account-type")
    ),
    "GET /transaction-types/{transaction-type-id}": Operation(
        "retrieve-a-transaction-type", retrieve_handler("transaction-type")
    ),
    "GET /case-templates/{case-template-id}": Operation(
        "retrieve-a-case-template", retrieve_handler("case-template")
    ),
}
