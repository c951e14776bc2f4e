"""Everything on the objects that can be shared is typed, and served by the sandbox."""

from pathlib import Path

from tests.contract.description import needs_description, operations
from tests.contract.table import lines, page, rows


pytestmark = needs_description

#: Operations for scoped tokens, Connect, and the OAuth endpoints.
SHARED = {
    "account-types",
    "accounts",
    "api-keys",
    "api-logs",
    "batch-jobs",
    "cases",
    "connect",
    "devices",
    "document",
    "documents",
    "events",
    "inquiries",
    "inquiry-sessions",
    "oauth",
    "rate-limits",
    "reports",
    "transactions",
    "verification",
    "transaction-types",
    "verifications",
    "webhook-events",
    "webhooks",
    "workflow-runs",
    "workflow-versions",
    "workflows",
}


def test_every_operation_on_shareable_objects_is_typed_and_served():
    lacking = [
        operation
        for operation, _, kind, served in rows()
        if operation.split("/")[1] in SHARED and (kind, served) != ("typed", True)
    ]

    assert lacking == []


def test_every_described_operation_is_in_the_table():
    *listed, totals = lines()

    assert len(listed) == len(operations())
    assert totals.startswith(f"{len(operations())} operations: ")


def test_page_of_the_documentation_lists_every_operation():
    documented = Path(__file__).parents[2] / "docs" / "operations.md"

    assert documented.read_text("utf-8") == page()
