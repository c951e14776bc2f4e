"""Every example of an answer is read, and so is what may become of it tomorrow.

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
from tests.contract.calls import CALLS
from tests.contract.description import PATH, needs_description, operations
from tests.contract.talking import talk


pytestmark = needs_description


def examples():
    """Answer every example of an answer to a request that we make."""
    ours = {route.operation for route in routes()} - {
        "POST /oauth/authorize",
        "POST /oauth/token",
    }
    for operation in operations():
        if operation.key in ours:
            for _, name, value in operation.examples():
                yield pytest.param(operation.key, value, id=f"{operation.key} {name}")


EXAMPLES = list(examples()) if PATH.is_file() else []


def read(key, value):
    """Answer all objects of a document."""
    method, _, path = key.partition(" ")
    request = Request(method=method, route=path, target=path, deadline=0.0)
    body = orjson.dumps(value)
    kind = {"content-type": "application/json"}
    document = jsonapi.document(request, Response(status=200, headers=kind, body=body))
    data = document.data if isinstance(document.data, tuple) else (document.data,)
    return [*data, *document.included.values()]


def everything(resource):
    """Answer the value of every attribute and every link that its class has."""
    found = {}
    for kind in type(resource).__mro__:
        for name, each in vars(kind).items():
            if isinstance(each, Attribute | Link | Links):
                found[name] = getattr(resource, name)
    if isinstance(resource, ResourceWithFields):
        found["values"] = resource.values
    return found


def comparable(values):
    """Answer the values with secrets as they can be compared."""
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in values.items()
    }


@pytest.mark.parametrize(("key", "value"), EXAMPLES)
def test_every_attribute_of_an_example_is_read(key, value):
    resources = read(key, value)

    assert resources
    for each in resources:
        everything(each)


@pytest.mark.parametrize(("key", "value"), EXAMPLES)
def test_three_casings_are_one_answer(key, value):
    kebab, snake, camel = (
        [comparable(everything(each)) for each in read(key, spelled(value, casing))]
        for casing in (same, snaked, cameled)
    )

    assert kebab == snake == camel


@pytest.mark.parametrize(("key", "value"), EXAMPLES)
def test_unknown_keys_are_kept_and_disturb_nobody(key, value):
    grown = with_unknown_keys(copy.deepcopy(value))

    before = [comparable(everything(each)) for each in read(key, value)]
    after = [comparable(everything(each)) for each in read(key, grown)]

    assert [set(each) for each in after] == [set(each) for each in before]
    assert all(each.get("brand_new") == "value" for each in read(key, grown))


@pytest.mark.parametrize(("key", "value"), EXAMPLES)
def test_unknown_names_are_kept_as_they_are(key, value):
    for each in read(key, with_unknown_statuses(copy.deepcopy(value))):
        status = everything(each).get("status")
        assert status is None or str(status) == "brand_new"


@pytest.mark.parametrize(("key", "value"), EXAMPLES)
def test_every_attribute_may_be_null(key, value):
    for each in read(key, with_nulls(copy.deepcopy(value))):
        values = everything(each).values()
        assert all(value in (None, (), {}) for value in values)


@pytest.mark.parametrize(("key", "value"), EXAMPLES)
def test_an_object_shows_its_type_and_id_alone(key, value):
    for each in read(key, value):
        assert (
            repr(each) == f"{type(each).__name__}(type={each.type!r}, id={each.id!r})"
        )


@pytest.mark.asyncio
@pytest.mark.parametrize("name", CALLS)
async def test_a_method_answers_what_its_example_holds(name):
    _, answered = await talk(name)

    found = answered if hasattr(answered, "items") else [answered]
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
    """Answer a document with its keys in another casing, but for those of fields."""
    if isinstance(value, list):
        return [spelled(each, casing) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        casing(name): each if name in UNTOUCHED else spelled(each, casing)
        for name, each in value.items()
    }


#: What is handed out as it came, whatever its keys.
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
