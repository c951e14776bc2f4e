"""The command line uses only the public API."""

import ast
from pathlib import Path

import persona_share.cli


#: Rooms that a user may enter; `ports` are protocols, for annotations.
OPEN = {
    "batch",
    "browsing",
    "cli",
    "errors",
    "integrations",
    "model",
    "partner",
    "ports",
    "sandbox",
    "stores",
    "webhooks",
}


def rooms(path):
    """Return the packages of the library that a module imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        for name in names:
            house, _, room = name.partition(".")
            if house == "persona_share" and room:
                yield room.partition(".")[0]


def test_no_command_enters_a_room_that_is_for_staff_only():
    modules = list(Path(persona_share.cli.__file__).parent.glob("*.py"))

    assert len(modules) > 10
    assert {room for each in modules for room in rooms(each)} <= OPEN
