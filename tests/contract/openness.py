"""The description as Persona's versioning policy reads it: unknown keys may appear.

The published text closes every object; the policy says that new attributes, types and
relationships may come at any time. So nothing is closed here, and of alternatives that
differ in closed keys alone more than one may hold.
"""

from functools import cache

from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.contract.description import document, resolved


CLOSING = ("additionalProperties", "unevaluatedProperties")


def opened(part):
    """Answer a part of the description with every object open."""
    if isinstance(part, list):
        return [opened(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {}
    for name, value in part.items():
        if name in CLOSING and value is False:
            continue
        made["anyOf" if name == "oneOf" else name] = opened(value)
    # A note of the publisher's beside the reference; some tools stumble over it.
    return {"$ref": made["$ref"]} if "$ref" in made else made


@cache
def open_document():
    """Answer the description with its answers open; its requests stay closed."""
    whole = document()
    components = dict(whole["components"])
    components["schemas"] = opened(components["schemas"])
    return {**whole, "components": components, "paths": _open_answers(whole["paths"])}


def _open_answers(paths):
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
def _registry():
    resource = Resource(contents=opened(document()), specification=DRAFT202012)
    return Registry().with_resource("urn:open", resource)


def open_complaints(operation, status, kind, value):
    """Answer what the description has against an answer, None for an unknown status."""
    declared = resolved(operation.raw["responses"].get(str(status)))
    if declared is None:
        return None
    media = declared.get("content", {}).get(kind)
    if media is None:
        return [f"{kind} is not declared for {status}"]
    if kind != "application/json":
        return []
    schema = _into_registry(opened(media["schema"]))
    validator = OAS31Validator(
        schema, registry=_registry(), format_checker=oas31_format_checker
    )
    return [
        f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)
    ]


def _into_registry(part):
    if isinstance(part, dict):
        return {
            name: "urn:open" + each if name == "$ref" else _into_registry(each)
            for name, each in part.items()
        }
    return [_into_registry(each) for each in part] if isinstance(part, list) else part
