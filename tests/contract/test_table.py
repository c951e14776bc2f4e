"""Everything on the objects that can be shared is typed, and served by the sandbox."""

from tests.contract.description import needs_description, operations
from tests.contract.table import lines, rows


pytestmark = needs_description

#: What a scoped token can reach, Connect, and what brings the token.
SHARED = {
    "accounts",
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
    "verifications",
}
#: Operations of 2026-09-29 that have no method yet.
NEW = {
    "POST /accounts/{account-id}/add-objects",
    "POST /accounts/{account-id}/remove-objects",
    "POST /transactions/{transaction-id}/add-objects",
    "POST /transactions/{transaction-id}/remove-objects",
    "POST /reports/{report-id}/review",
    "POST /cases/{case-id}/add-comment",
}


def test_every_operation_on_what_can_be_shared_is_typed_and_served():
    lacking = [
        operation
        for operation, _, kind, served in rows()
        if operation.split("/")[1] in SHARED
        and operation not in NEW
        and (kind, served) != ("typed", True)
    ]

    assert lacking == []


def test_every_operation_of_the_description_stands_in_the_table():
    *listed, totals = lines()

    assert len(listed) == len(operations())
    assert totals.startswith(f"{len(operations())} operations: ")
