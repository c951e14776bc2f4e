"""Persona's official description, to validate requests and responses against.

It is not part of this project: `PERSONA_OPENAPI_SPEC` names its file. Tests that need it
are not collected if it is missing, and the run ends with a line that says so.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


ROOT = Path(__file__).parents[2]
DEFAULT = ROOT.parent / "shared" / "spec" / "persona-openapi-2025-12-08.json"
PATH = Path(os.environ.get("PERSONA_OPENAPI_SPEC") or DEFAULT)
#: The pieces that are newer than the bundle, in the same form.
LATER = PATH.parent / "2026-09-29" / "delta-2026-09-29.json"
#: The versions that the tests run under; the last one is the default.
VERSIONS = ("2025-12-08", "2026-09-29")
METHODS = ("get", "post", "patch", "delete", "put")

needs_description = pytest.mark.needs("description")


@attrs.frozen
class Operation:
    """One operation of the description."""

    method: str
    path: str
    raw: dict = attrs.field(repr=False, eq=False)

    @property
    def key(self):
        return f"{self.method} {self.path}"

    @property
    def queries(self):
        found = map(resolved, self.raw.get("parameters", []))
        return {each["name"]: each for each in found if each["in"] == "query"}

    @property
    def bodies(self):
        return resolved(self.raw.get("requestBody", {})).get("content", {})

    def examples(self):
        """Return each example of a successful response, with its status."""
        for status, response in self.raw["responses"].items():
            if not status.startswith("2"):
                continue
            content = resolved(response).get("content", {})
            for kind, media in content.items():
                if kind != "application/json":
                    continue
                for name, example in media.get("examples", {}).items():
                    value = resolved(resolved(example).get("value"))
                    if value is not None:  # the description lacks some examples
                        yield int(status), name, value


@cache
def document(version=VERSIONS[-1]):
    """Return the description of a version: the bundle with the later pieces over it.

    The versions differ in the name of a webhook, which older ones do not require.
    """
    found = json.loads(PATH.read_bytes())
    if LATER.exists():
        later = json.loads(LATER.read_bytes())
        for kind, parts in later["components"].items():
            found["components"][kind] |= parts
        found["paths"] |= later["paths"]
        found["webhooks"] |= later["webhooks"]
        _fill_gaps(found)
    if version < "2026-09-29":
        webhook = found["components"]["schemas"]["webhook-request-attributes"]
        webhook["properties"]["name"]["type"] = ["string", "null"]
        content = found["paths"]["/webhooks"]["post"]["requestBody"]["content"]
        schema = content["application/json"]["schema"]["properties"]["data"]
        schema["properties"]["attributes"]["required"].remove("name")
    return found


def _fill_gaps(whole):
    """Drop alternatives with unresolved references; empty schemas fill other gaps."""
    _drop_alternatives(whole, whole)
    for reference in set(references(whole)):
        if not _resolves(whole, reference):
            kind, name = reference.removeprefix("#/components/").split("/")
            whole["components"][kind][name] = {}


def _drop_alternatives(whole, part):
    for each in part.values() if isinstance(part, dict) else part:
        if isinstance(each, dict | list):
            _drop_alternatives(whole, each)
    for name in ("oneOf", "anyOf"):
        alternatives = part.get(name) if isinstance(part, dict) else None
        if isinstance(alternatives, list):
            part[name] = [
                each
                for each in alternatives
                if "$ref" not in each or _resolves(whole, each["$ref"])
            ]


def references(part):
    if isinstance(part, dict):
        for name, each in part.items():
            if name == "$ref" and isinstance(each, str):
                yield each
            else:
                yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def _resolves(whole, reference):
    for name in reference.removeprefix("#/").split("/"):
        whole = whole.get(name.replace("~1", "/").replace("~0", "~"))
        if whole is None:
            return False
    return True


def resolved(part):
    """Return what a reference stands for."""
    while isinstance(part, dict) and "$ref" in part:
        target = document()
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name.replace("~1", "/").replace("~0", "~")]
        part = target
    return part


@cache
def operations(version=VERSIONS[-1]):
    """Return all operations, those with fewer placeholders first."""
    found = [
        Operation(method.upper(), path, raw)
        for path, methods in document(version)["paths"].items()
        for method, raw in methods.items()
        if method in METHODS
    ]
    return sorted(found, key=lambda each: each.path.count("{"))


def operation_of(method, path, version=VERSIONS[-1]):
    """Return the operation that serves a path, or None."""
    for each in operations(version):
        pattern = re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(each.path))
        if each.method == method and re.fullmatch(pattern, path):
            return each
    return None


@cache
def _registry(version):
    resource = Resource(contents=document(version), specification=DRAFT202012)
    return Registry().with_resource("urn:description", resource)


def violations(value, schema, version=VERSIONS[-1]):
    """Return the violations of a schema of the description in a value."""
    pointed = _with_base(schema)
    validator = OAS31Validator(pointed, registry=_registry(version))
    return [
        f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)
    ]


def _with_base(part):
    """Return a schema whose references point into the description."""
    if isinstance(part, dict):
        return {
            name: "urn:description" + each if name == "$ref" else _with_base(each)
            for name, each in part.items()
        }
    return [_with_base(each) for each in part] if isinstance(part, list) else part


def query_of(target):
    """Return the query of a target, with ``name[a][b]`` as nested objects."""
    found = {}
    for name, value in parse_qsl(urlsplit(target).query, keep_blank_values=True):
        first, *inner = re.findall(r"[^\[\]]+", name)
        if not inner:
            found[first] = value
            continue
        place = found.setdefault(first, {})
        for step in inner[:-1]:
            place = place.setdefault(step, {})
        place[inner[-1]] = value
    return found


def typed(value, schema):
    """Return the text values of a query as the numbers and booleans that they represent."""
    schema = resolved(schema)
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {name: typed(each, parts.get(name, {})) for name, each in value.items()}
    if schema.get("type") in ("number", "integer"):
        return int(value)
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(value, value)
    return value


# ── Responses ─────────────────────────────────────────────────────────────────
# The published text closes every object, but Persona's versioning policy says that new
# attributes, types and relationships may come at any time. So no object is closed here,
# and more than one of the alternatives that differ only in closed keys may hold.

CLOSING = ("additionalProperties", "unevaluatedProperties")


def opened(part):
    """Return a part of the description with every object open."""
    if isinstance(part, list):
        return [opened(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {}
    for name, value in part.items():
        if name in CLOSING and value is False:
            continue
        made["anyOf" if name == "oneOf" else name] = opened(value)
    # Some tools fail on the publisher's note beside a reference.
    return {"$ref": made["$ref"]} if "$ref" in made else made


@cache
def open_document(version=VERSIONS[-1]):
    """Return the description with its responses open; its requests stay closed."""
    whole = document(version)
    components = dict(whole["components"])
    components["schemas"] = opened(components["schemas"])
    return {**whole, "components": components, "paths": _open_responses(whole["paths"])}


def _open_responses(paths):
    made = {}
    for path, methods in paths.items():
        made[path] = {
            name: {**each, "responses": opened(each["responses"])}
            if isinstance(each, dict) and "responses" in each
            else each
            for name, each in methods.items()
        }
    return made


@cache
def _open_registry():
    resource = Resource(contents=opened(document()), specification=DRAFT202012)
    return Registry().with_resource("urn:open", resource)


def response_violations(operation, status, kind, value):
    """Return the violations of the description in a response; None for an unknown status."""
    declared = resolved(operation.raw["responses"].get(str(status)))
    if declared is None:
        return None
    media = declared.get("content", {}).get(kind)
    if media is None:
        return [f"{kind} is not declared for {status}"]
    if kind != "application/json":
        return []
    schema = _with_open_base(opened(media["schema"]))
    validator = OAS31Validator(
        schema, registry=_open_registry(), format_checker=oas31_format_checker
    )
    return [
        f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)
    ]


def _with_open_base(part):
    if isinstance(part, dict):
        return {
            name: "urn:open" + each if name == "$ref" else _with_open_base(each)
            for name, each in part.items()
        }
    return [_with_open_base(each) for each in part] if isinstance(part, list) else part
