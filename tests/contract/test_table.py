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


def test_every_operation_on_what_can_be_shared_is_typed_and_served():
    lacking = [
        operation
        for operation, _, kind, served in rows()
        if operation.split("/")[1] in SHARED and (kind, served) != ("typed", True)
    ]

    assert lacking == []


def test_every_operation_of_the_description_stands_in_the_table():
    *listed, totals = lines()

    assert len(listed) == len(operations())
    assert totals == (
        "209 operations: 113 typed, 96 generic, 113 served by the sandbox"
    )
