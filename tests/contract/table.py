"""Each operation of the description: has it a method of its own, and is it served?"""

from persona_share._protocol.routes import routes
from persona_share.sandbox.http.server import served_operations
from tests.contract.description import operations


def rows():
    """Return (operation, operationId, typed or generic, whether the sandbox serves it).

    Typed has a method of its own, generic is `.request()`.
    """
    ours = {route.operation for route in routes()}
    served = {f"{each.method} {each.path}" for each in served_operations()}
    return sorted(
        (
            each.key,
            each.raw["operationId"],
            "typed" if each.key in ours else "generic",
            each.key in served,
        )
        for each in operations()
    )


def lines():
    """Return the table as text, with its totals at the end."""
    found = rows()
    wide = max(len(operation) for operation, *_ in found) + 2
    for operation, name, kind, served in found:
        place = "sandbox" if served else ""
        yield f"{kind:9}{place:9}{operation:{wide}}{name}"
    typed = sum(kind == "typed" for _, _, kind, _ in found)
    served = sum(served for *_, served in found)
    yield (
        f"{len(found)} operations: {typed} typed, {len(found) - typed} generic, "
        f"{served} served by the sandbox"
    )


def page():
    """Return the documentation page that lists every operation."""
    found = rows()
    typed = sum(kind == "typed" for _, _, kind, _ in found)
    summary = (
        f"Persona describes {len(found)} operations (versions 2025-12-08 and 2026-09-29). "
        f"{typed} of them have a method, listed under [Resources](resources/index.md). "
        "The others are called with `client.request(method, path)`, over the same "
        "connections, limits and retries."
    )
    lines = [
        "# Every operation",
        "",
        summary,
        "",
        "| Operation | In this library | In the sandbox |",
        "|---|---|---|",
    ]
    for operation, _, kind, served in found:
        how = "method" if kind == "typed" else "`request()`"
        lines.append(f"| `{operation}` | {how} | {'yes' if served else ''} |")
    return "\n".join(lines) + "\n"
