"""Persona's official description, as data to hold requests and answers against.

It is not part of this project: its path is read from PERSONA_OPENAPI_SPEC, and what
needs it is not collected where it is missing; the run ends with a line about that.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


HOUSE = Path(__file__).parents[2]
DEFAULT = HOUSE.parent / "shared" / "spec" / "persona-openapi-2025-12-08.json"
PATH = Path(os.environ.get("PERSONA_OPENAPI_SPEC") or DEFAULT)
#: The pieces that are newer than the bundle, in the same form.
LATER = PATH.parent / "2026-09-29" / "delta-2026-09-29.json"
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
        """Answer each example of a successful answer, with its status."""
        for status, answer in self.raw["responses"].items():
            if not status.startswith("2"):
                continue
            content = resolved(answer).get("content", {})
            for kind, media in content.items():
                if kind != "application/json":
                    continue
                for name, example in media.get("examples", {}).items():
                    value = resolved(resolved(example).get("value"))
                    if value is not None:  # some examples are not held
                        yield int(status), name, value


@cache
def document():
    """Return the newest description: the bundle with the later pieces over it."""
    found = json.loads(PATH.read_bytes())
    if LATER.exists():
        later = json.loads(LATER.read_bytes())
        for kind, parts in later["components"].items():
            found["components"][kind] |= parts
        found["paths"] |= later["paths"]
        found["webhooks"] |= later["webhooks"]
        _fill_gaps(found)
    webhook = found["components"]["schemas"]["webhook-request-attributes"]
    webhook["properties"]["name"]["type"] = ["string", "null"]
    return found


def _fill_gaps(whole):
    """Drop alternatives that refer to a piece that is not held; other gaps are empty."""
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
    """Answer what a reference stands for."""
    while isinstance(part, dict) and "$ref" in part:
        target = document()
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name.replace("~1", "/").replace("~0", "~")]
        part = target
    return part


@cache
def operations():
    """Answer all operations, those with fewer placeholders first."""
    found = [
        Operation(method.upper(), path, raw)
        for path, methods in document()["paths"].items()
        for method, raw in methods.items()
        if method in METHODS
    ]
    return sorted(found, key=lambda each: each.path.count("{"))


def operation_of(method, path):
    """Answer the operation that serves a path, or None."""
    for each in operations():
        pattern = re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(each.path))
        if each.method == method and re.fullmatch(pattern, path):
            return each
    return None


@cache
def _registry():
    resource = Resource(contents=document(), specification=DRAFT202012)
    return Registry().with_resource("urn:description", resource)


def complaints(value, schema):
    """Answer what a schema of the description has against a value."""
    pointed = _with_base(schema)
    validator = OAS31Validator(pointed, registry=_registry())
    return [
        f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)
    ]


def _with_base(part):
    """Answer a schema whose references lead into the description."""
    if isinstance(part, dict):
        return {
            name: "urn:description" + each if name == "$ref" else _with_base(each)
            for name, each in part.items()
        }
    return [_with_base(each) for each in part] if isinstance(part, list) else part


def query_of(target):
    """Answer the query of a target, with ``name[a][b]`` as nested objects."""
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
    """Answer the texts of a query as the numbers and booleans that they stand for."""
    schema = resolved(schema)
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {name: typed(each, parts.get(name, {})) for name, each in value.items()}
    if schema.get("type") in ("number", "integer"):
        return int(value)
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(value, value)
    return value
