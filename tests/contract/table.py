"""Each operation of the description: has it a method of its own, or `.request()`?"""

from persona_share._wire.routes.table import routes
from tests.contract.description import operations


def rows():
    """Answer (operation, operationId, "typed" or "generic") for each operation."""
    ours = {route.operation for route in routes()}
    return sorted(
        (each.key, each.raw["operationId"], "typed" if each.key in ours else "generic")
        for each in operations()
    )


def lines():
    """Answer the table as text, with its totals at the end."""
    found = rows()
    wide = max(len(operation) for operation, _, _ in found)
    yield from (f"{kind:8}{op:{wide + 2}}{name}" for op, name, kind in found)
    typed = sum(kind == "typed" for _, _, kind in found)
    yield f"{len(found)} operations: {typed} typed, {len(found) - typed} generic"
