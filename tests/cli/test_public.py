"""The command line uses only the public API."""

import ast
from pathlib import Path

import persona_share.cli


#: Public modules; `ports` has protocols, for annotations.
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
#: The one internal module: it opens files that no other user may read, and no more.
FILES = "persona_share._transport.private_files"


def imported_modules(path):
    """Return the packages of the library that a module imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        for name in names:
            package, _, module = name.partition(".")
            if package == "persona_share" and module and name != FILES:
                yield module.partition(".")[0]


def test_commands_import_only_the_public_api():
    modules = list(Path(persona_share.cli.__file__).parent.glob("*.py"))

    assert len(modules) > 10
    assert {module for each in modules for module in imported_modules(each)} <= OPEN
