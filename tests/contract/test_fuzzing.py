"""schemathesis finds no answer of the sandbox that the description does not describe.

A few requests for each operation here, many in ``make contract``.
"""

import pytest

from persona_share.sandbox.http.server import served_operations
from tests.contract.description import PATH, needs_description
from tests.contract.fuzzing import described_operations, fuzz, running_sandbox


pytestmark = needs_description

EXAMPLES = 2
KEYS = [f"{each.method} {each.path}" for each in served_operations()]


@pytest.fixture(scope="module")
def facts():
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def described():
    operations = described_operations() if PATH.is_file() else ()
    return {f"{each.method.upper()} {each.path}": each for each in operations}


@pytest.mark.parametrize("key", KEYS)
def test_an_operation_answers_whatever_it_is_asked_as_described(facts, described, key):
    fuzz(described[key], facts, EXAMPLES)
