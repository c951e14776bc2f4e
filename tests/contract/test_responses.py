"""Every example of a response is read, and so are future variants of it.

Persona's versioning policy lets attributes, types, statuses and casings appear that the
description does not have; none of them may be an error.
"""

import copy

import orjson
import pytest

from persona_share._protocol import jsonapi
from persona_share._protocol.http import Request, Response
from persona_share._protocol.routes import routes
from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.resource import Resource, ResourceWithFields
from persona_share.model.secret import Secret
from tests.contract.calls import CALLS, make_call
from tests.contract.description import PATH, needs_description, operations


pytestmark = needs_description


def examples_by_kind():
    """Return the examples of responses to requests of the client, by kind of object."""
    ours = {route.operation for route in routes()} - {
        "POST /oauth/authorize",
        "POST /oauth/token",
    }
    found = {}
    for operation in operations():
        if operation.key in ours:
            kind = operation.key.partition("/")[2].partition("/")[0]
            pairs = [(operation.key, value) for _, _, value in operation.examples()]
            found.setdefault(kind, []).extend(pairs)
    return [pytest.param(pairs, id=kind) for kind, pairs in found.items() if pairs]


EXAMPLES = examples_by_kind() if PATH.is_file() else []


def read(key, value):
    """Return all objects of a document."""
    method, _, path = key.partition(" ")
    request = Request(method=method, route=path, target=path, deadline=0.0)
    body = orjson.dumps(value)
    kind = {"content-type": "application/json"}
    document = jsonapi.document(request, Response(status=200, headers=kind, body=body))
    data = document.data if isinstance(document.data, tuple) else (document.data,)
    return [*data, *document.included.values()]


def everything(resource):
    """Return the value of every attribute and link of the class."""
    found = {}
    for kind in type(resource).__mro__:
        for name, each in vars(kind).items():
            if isinstance(each, Attribute | Link | Links):
                found[name] = getattr(resource, name)
    if isinstance(resource, ResourceWithFields):
        found["values"] = resource.values
    return found


def comparable(values):
    """Return the values with secrets revealed, so that they can be compared."""
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in values.items()
    }


@pytest.mark.parametrize("examples", EXAMPLES)
def test_every_attribute_of_an_example_is_read(examples):
    for key, value in examples:
        resources = read(key, value)

        assert resources
        for each in resources:
            everything(each)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_three_casings_are_read_alike(examples):
    for key, value in examples:
        kebab, snake, camel = (
            [comparable(everything(each)) for each in read(key, spelled(value, casing))]
            for casing in (same, snaked, cameled)
        )

        assert kebab == snake == camel


@pytest.mark.parametrize("examples", EXAMPLES)
def test_unknown_keys_are_kept_and_change_nothing_else(examples):
    for key, value in examples:
        grown = with_unknown_keys(copy.deepcopy(value))

        before = [comparable(everything(each)) for each in read(key, value)]
        after = [comparable(everything(each)) for each in read(key, grown)]

        assert [set(each) for each in after] == [set(each) for each in before]
        assert all(each.get("brand_new") == "value" for each in read(key, grown))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_unknown_statuses_are_kept(examples):
    for key, value in examples:
        for each in read(key, with_unknown_statuses(copy.deepcopy(value))):
            status = everything(each).get("status")
            assert status is None or str(status) == "brand_new"


@pytest.mark.parametrize("examples", EXAMPLES)
def test_every_attribute_may_be_null(examples):
    for key, value in examples:
        for each in read(key, with_nulls(copy.deepcopy(value))):
            values = everything(each).values()
            assert all(value in (None, (), {}) for value in values)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_repr_of_an_object_has_its_type_and_id_only(examples):
    for key, value in examples:
        for each in read(key, value):
            assert (
                repr(each)
                == f"{type(each).__name__}(type={each.type!r}, id={each.id!r})"
            )


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CALLS)
async def test_method_returns_the_objects_of_its_example(name):
    _, result = await make_call(name)

    found = result if hasattr(result, "items") else [result]
    for each in found:
        if isinstance(each, Resource):
            everything(each)


def same(name):
    return name


def snaked(name):
    return name.replace("-", "_")


def cameled(name):
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def spelled(value, casing):
    """Return a document with its keys in another casing, but for those of fields."""
    if isinstance(value, list):
        return [spelled(each, casing) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        casing(name): each if name in UNTOUCHED else spelled(each, casing)
        for name, each in value.items()
    }


#: Attributes that are returned unchanged, whatever their keys.
UNTOUCHED = {
    "fields",
    "metadata",
    "payload",
    "context",
    "extraction-responses",
    "center-photo-face-coordinates",
    "config",
    "included-allowlist",
    "inputs",
    "outputs",
    "payload-filter",
    "relationship-allowlist",
    "request",
    "response",
    "row",
    "run-data",
}


def objects_of(value):
    data = value["data"]
    data = data if isinstance(data, list) else [data]
    return [*data, *value.get("included", [])]


def with_unknown_keys(value):
    value["brand-new"] = {"a": 1}
    for each in objects_of(value):
        each["brand-new"] = [1]
        each.setdefault("attributes", {})["brand-new"] = "value"
        each.setdefault("relationships", {})["brand-new"] = {"data": None}
    return value


def with_unknown_statuses(value):
    for each in objects_of(value):
        if "status" in each.get("attributes", {}):
            each["attributes"]["status"] = "brand_new"
    return value


def with_nulls(value):
    value["meta"] = None
    for each in objects_of(value):
        names = each.get("attributes", {})
        each["attributes"] = dict.fromkeys(names)
        each["relationships"] = dict.fromkeys(each.get("relationships", {}))
    return value
