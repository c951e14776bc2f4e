"""schemathesis against a running sandbox, as often for each operation as one likes.

``python -m tests.contract.fuzzing`` asks each operation `MANY` things, tells what it
found, and ends with the totals.
"""

import argparse
import asyncio
import sys
import threading
from collections import Counter
from contextlib import contextmanager

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
from tests.contract.description import PATH
from tests.contract.openness import open_document
from tests.contract.play import play_all, staged
from tests.contract.stage import good_requests


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: An id in its body has a pattern; the sandbox takes ids of any form, as ids are opaque.
LENIENT = {"POST /accounts/{account-id}/run-action"}
#: Good requests for each operation, and half as many bad ones. 120 make over 20,000.
MANY = 40


@contextmanager
def running_sandbox():
    """Run a filled sandbox in a thread; answer its URL, keys and object ids."""
    ready, facts, fault = threading.Event(), {}, []

    async def run():
        facts["loop"], facts["end"] = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with staged() as (sandbox, raw):
                played = await play_all(sandbox, raw)
                facts["url"], facts["key"] = sandbox.url, sandbox.source.api_key
                facts["ids"] = {
                    k: g.object_id for k, g in good_requests(sandbox).items()
                }
                facts["ids"] |= _made(played)
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


def _made(played):
    """Answer the ids of what Connect's operations are about."""
    ids = {}
    for each in played:
        data = each.answer.json.get("data") if each.answer.body[:1] == b"{" else None
        if each.key.endswith("connections") and isinstance(data, dict):
            ids["connection-id"] = data["id"]
        if each.key.endswith("share-tokens") and isinstance(data, dict):
            ids["share-token-id"] = data["id"]
    return ids


def _named(sandbox, ids):
    """Answer what attributes of bodies may name, so that some name what there is."""
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
    """Answer a body in which known attributes name what there is."""
    if isinstance(body, dict):
        return {
            name: named[name]
            if name in named and type(each) is type(named[name])
            else _naming(each, named)
            for name, each in body.items()
        }
    return body


def _plainer(query, *, every):
    """Answer a query without what leads nowhere.

    No relationship has a name from dice, and what the description calls required an
    answer to ``fields[inquiry]=…`` leaves out.
    """
    shaping = ("include", "fields") if every else ("fields[inquiry]",)
    kept = {k: v for k, v in (query or {}).items() if not k.startswith(shaping)}
    if isinstance(kept.get("fields"), dict):
        kept["fields"] = {k: v for k, v in kept["fields"].items() if k != "inquiry"}
    return kept


def described_operations():
    """Answer the operations that the sandbox serves, as schemathesis knows them."""
    served = {(each.method, each.path) for each in served_operations()}
    schema = schemathesis.openapi.from_dict(open_document())
    for found in schema.get_all_operations():
        operation = found.ok()
        if (operation.method.upper(), operation.path) in served:
            yield operation


def fuzz(operation, facts, examples):
    """Ask one operation many things; raise where an answer is not as described.

    Answers how many there were.
    """
    good = _fuzz(operation, facts, examples, GenerationMode.POSITIVE)
    return good + _fuzz(operation, facts, (examples + 1) // 2, GenerationMode.NEGATIVE)


def is_good(case, location):
    """Answer whether this part of a request is as described."""
    part = case.meta.components.get(location)
    return part is None or part.mode is GenerationMode.POSITIVE


def _fuzz(operation, facts, examples, mode):
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
    def ask(case):
        asked.append(None)
        if object_id and is_good(case, ParameterLocation.PATH) and len(asked) % 4:
            case.path_parameters = dict.fromkeys(case.path_parameters, object_id)
        # The description is written in kebab-case; other casings have their own tests.
        if case.headers.get("Key-Inflection") in ("camel", "snake"):
            case.headers["Key-Inflection"] = "kebab"
        case.headers["Authorization"] = f"Bearer {facts['key']}"
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            case.body = _naming(case.body, facts["named"])
        plain = mode is GenerationMode.POSITIVE and len(asked) % 2
        case.query = _plainer(case.query, every=plain)
        checks = list(CHECKS)
        # A query is text: what schemathesis calls a wrong type there is none on the way.
        if not is_good(case, ParameterLocation.BODY) and key not in LENIENT:
            checks.append(negative_data_rejection)
        case.call_and_validate(base_url=facts["url"], checks=checks)

    asked = []
    ask()
    return len(asked)


def fuzz_all(facts, examples):
    """Ask every operation; answer the totals by name, failures by their class."""
    totals = Counter()
    for operation in described_operations():
        key = f"{operation.method.upper()} {operation.path}"
        totals["operations"] += 1
        try:
            totals["cases"] += fuzz(operation, facts, examples)
        except FailureGroup as group:
            for each in group.exceptions:
                totals[type(each).__name__] += 1
                sys.stdout.write(f"{key}: {each}\n")
    return totals


def main(arguments=None):
    """Answer 1 where anything at all was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.fuzzing")
    parser.add_argument("--examples", type=int, default=MANY)
    asked = parser.parse_args(arguments)
    if not PATH.is_file():
        sys.exit(f"Persona's description is not at {PATH}; set PERSONA_OPENAPI_SPEC")
    with running_sandbox() as facts:
        totals = fuzz_all(facts, asked.examples)
    operations, cases = totals.pop("operations"), totals.pop("cases", 0)
    errors = totals.pop("ServerError", 0)
    sys.stdout.write(
        f"schemathesis: {operations} operations, {cases} cases, {errors} server errors,"
        f" {totals.total()} schema violations\n"
    )
    return int(bool(errors or totals))


if __name__ == "__main__":
    sys.exit(main())
