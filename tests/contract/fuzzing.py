"""Fuzz the sandbox with schemathesis, under each version of the description.

``python -m tests.contract.fuzzing`` sends `EXAMPLES` requests to each operation, prints
the violations, and ends with the totals.
"""

import argparse
import asyncio
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from functools import cache

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from persona_share.sandbox.http.server import served_operations
from tests.contract.description import PATH, VERSIONS, open_document
from tests.contract.requests import filled_sandbox, send_all, valid_requests


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: An id in its body has a pattern; the sandbox takes ids of any form, as ids are opaque.
LENIENT = {"POST /accounts/{account-id}/run-action"}
#: Valid requests for each operation and version, and half as many invalid ones.
EXAMPLES = 20
#: Seconds within which the sandbox responds, even on a busy machine.
TIMEOUT = 120


@contextmanager
def running_sandbox():
    """Run a filled sandbox in a thread; yield its URL, API key and object IDs."""
    ready, facts, fault = threading.Event(), {}, []

    async def run():
        facts["loop"], facts["end"] = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with filled_sandbox(VERSIONS[-1]) as (sandbox, raw):
                sent = await send_all(sandbox, raw)
                facts["url"], facts["key"] = sandbox.url, sandbox.source.api_key
                facts["ids"] = {
                    k: g.object_id for k, g in valid_requests(sandbox).items()
                }
                facts["ids"] |= _made(sent)
                facts["named"] = _named(sandbox, facts["ids"])
                ready.set()
                await facts["end"].wait()
        except BaseException as error:
            fault.append(error)
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield facts
    finally:
        facts["loop"].call_soon_threadsafe(facts["end"].set)
        thread.join(30)
    if fault:
        raise fault[0]


def _made(sent):
    """Return the IDs of the connection and the share token that were created."""
    ids = {}
    for each in sent:
        data = (
            each.response.json.get("data") if each.response.body[:1] == b"{" else None
        )
        if each.key.endswith("connections") and isinstance(data, dict):
            ids["connection-id"] = data["id"]
        if each.key.endswith("share-tokens") and isinstance(data, dict):
            ids["share-token-id"] = data["id"]
    return ids


def _named(sandbox, ids):
    """Return values for attributes of bodies, so that some of them name known objects."""
    inquiry, account = sandbox.add_inquiry().id, sandbox.add_account().id
    return {
        "account-id": account,
        "client-id": sandbox.destination.id,
        "connection-id": ids["connection-id"],
        "destination-organization-id": sandbox.destination.id,
        "inquiry-id": inquiry,
        "inquiry-ids": [inquiry],
        "object-ids": [inquiry, account],
        "response-type": "code",
        "scope": f"inquiry.read:{inquiry}",
        "source-account-ids": [sandbox.add_account().id],
        "source-id": inquiry,
        "tag-name": "vip",
        "target-object-id": account,
    }


def _naming(body, named):
    """Return a body in which these attributes have these values."""
    if isinstance(body, dict):
        return {
            name: named[name]
            if name in named and type(each) is type(named[name])
            else _naming(each, named)
            for name, each in body.items()
        }
    return body


def _plainer(query, *, every):
    """Return a query without parameters that make a valid request fail.

    Random names of relationships give 400, and a response to ``fields[inquiry]=…`` lacks
    attributes that the description requires.
    """
    shaping = ("include", "fields") if every else ("fields[inquiry]",)
    kept = {k: v for k, v in (query or {}).items() if not k.startswith(shaping)}
    if isinstance(kept.get("fields"), dict):
        kept["fields"] = {k: v for k, v in kept["fields"].items() if k != "inquiry"}
    return kept


@cache
def _schema(version):
    return schemathesis.openapi.from_dict(open_document(version))


def described_operation(version, key):
    """Return an operation that the sandbox serves, as schemathesis reads it."""
    method, _, path = key.partition(" ")
    return _schema(version)[path][method]


def fuzz(operation, facts, examples, version):
    """Send random requests to one operation and return their number.

    Raises:
        FailureGroup: for responses that violate the description.
    """
    count = _fuzz(operation, facts, examples, version, GenerationMode.POSITIVE)
    examples = (examples + 1) // 2
    return count + _fuzz(operation, facts, examples, version, GenerationMode.NEGATIVE)


def is_valid(case, location):
    """Return whether this part of a request is valid."""
    part = case.meta.components.get(location)
    return part is None or part.mode is GenerationMode.POSITIVE


def _fuzz(operation, facts, examples, version, mode):
    key = f"{operation.method.upper()} {operation.path}"
    connect = facts["ids"].get(key.partition("{")[2].partition("}")[0])
    object_id = facts["ids"].get(key) or connect

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case):
        sent.append(None)
        if object_id and is_valid(case, ParameterLocation.PATH) and len(sent) % 4:
            case.path_parameters = dict.fromkeys(case.path_parameters, object_id)
        # The description is written in kebab-case; other casings have their own tests.
        if case.headers.get("Key-Inflection") in ("camel", "snake"):
            case.headers["Key-Inflection"] = "kebab"
        case.headers["Persona-Version"] = version
        case.headers["Authorization"] = f"Bearer {facts['key']}"
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body = _naming(case.body, facts["named"])
        plain = mode is GenerationMode.POSITIVE and len(sent) % 2
        case.query = _plainer(case.query, every=plain)
        checks = list(CHECKS)
        # A query is text, so it has no values of a wrong type.
        if not is_valid(case, ParameterLocation.BODY) and key not in LENIENT:
            checks.append(negative_data_rejection)
        case.call_and_validate(base_url=facts["url"], checks=checks, timeout=TIMEOUT)

    sent = []
    send()
    return len(sent)


def fuzz_all(facts, examples, version):
    """Fuzz every operation; return the totals by name, failures by their class."""
    totals = Counter()
    for served in served_operations():
        key = f"{served.method} {served.path}"
        operation = described_operation(version, key)
        totals["operations"] += 1
        try:
            totals["cases"] += fuzz(operation, facts, examples, version)
        except FailureGroup as group:
            for each in group.exceptions:
                totals[type(each).__name__] += 1
                sys.stdout.write(f"{version} {key}: {each}\n")
    return totals


def main(arguments=None):
    """Return the exit code, which is 1 for any violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.fuzzing")
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    options = parser.parse_args(arguments)
    if not PATH.is_file():
        sys.exit(f"Persona's description is not at {PATH}; set PERSONA_OPENAPI_SPEC")
    with running_sandbox() as facts:
        failed = [_reported(facts, options.examples, each) for each in VERSIONS]
    return int(any(failed))


def _reported(facts, examples, version):
    """Print the totals of a version; return whether there was a violation."""
    totals = fuzz_all(facts, examples, version)
    operations, cases = totals.pop("operations"), totals.pop("cases", 0)
    errors = totals.pop("ServerError", 0)
    sys.stdout.write(
        f"schemathesis, {version}: {operations} operations, {cases} cases, "
        f"{errors} server errors, {totals.total()} schema violations\n"
    )
    return bool(errors or totals)


if __name__ == "__main__":
    sys.exit(main())
