"""Generated clients do the main job against the sandbox: ``make contract``.

openapi-generator-cli generates a client for each language from the description; a small
program then authorizes, exchanges the code, retrieves, shares and redeems. It needs Java;
a language whose tools are missing is named and left out.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

from persona_share.sandbox import Sandbox
from tests.contract.description import document, references


PROGRAMS = Path(__file__).parent
#: The operations of the main job; a client of all of them takes minutes to generate.
PATHS = (
    "/oauth/authorize",
    "/oauth/token",
    "/inquiries/{inquiry-id}",
    "/connect/connections",
    "/connect/share-tokens",
    "/connect/share-tokens/{share-token-id}",
    "/connect/share-tokens/{share-token-id}/redeem",
)


@attrs.frozen
class Language:
    """A language: how its client is generated and its program is run."""

    name: str
    generator: str
    needs: tuple[str, ...]
    commands: tuple[str, ...]


LANGUAGES = (
    Language(
        "Python",
        "python",
        (),
        (
            "{python} -m venv venv",
            "venv/bin/pip install -q --disable-pip-version-check ./generated",
            "venv/bin/python {programs}/drive.py",
        ),
    ),
    Language(
        "TypeScript",
        "typescript-fetch",
        ("node", "npx"),
        (
            (
                "npx --yes esbuild {programs}/drive.ts --bundle --platform=node "
                "--alias:generated=./generated --outfile=drive.js --log-level=warning"
            ),
            "node drive.js",
        ),
    ),
    Language(
        "Ruby",
        "ruby",
        ("ruby",),
        ("ruby -W0 -I generated/lib {programs}/drive.rb",),
    ),
)


def part_of_the_description():
    """Return the description of the main job alone."""
    whole = document()
    parts = {"paths": {path: whole["paths"][path] for path in PATHS}}
    components, pending = {}, list(references(parts))
    while pending:
        kind, name = pending.pop().removeprefix("#/components/").split("/")[:2]
        found = components.setdefault(kind, {})
        if name not in found:
            found[name] = _generatable(name, whole["components"][kind][name])
            pending += references(whole["components"][kind][name])
    # A generator takes a schema of this name for the contents of a file.
    components["schemas"]["stored-file"] = components["schemas"].pop("file")
    components["securitySchemes"] = whole["components"]["securitySchemes"]
    kept = {name: whole[name] for name in ("openapi", "info", "security", "servers")}
    return kept | _generatable("", parts) | {"components": components}


def _generatable(name, part):
    """Return a schema without what a generator fails on.

    That is a recursive schema with a property named ``!``, properties that are always
    null, and formats that it takes for types.
    """
    if name == "deployment-route-criteria":
        return {"type": "object"}
    if isinstance(part, list):
        return [_generatable("", each) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("$ref") == "#/components/schemas/file":
        return {"$ref": "#/components/schemas/stored-file"}
    found = {name: _generatable(name, each) for name, each in part.items()}
    if found.get("type") == "null" and "description" in found:
        found["type"] = ["string", "null"]
    if found.get("format") in {"bytes", "byte", "binary"}:
        del found["format"]
    return found


def run(language, folder, facts):
    """Generate a client, run its program, and return what it printed."""
    generate = [
        *(Path(sys.executable).parent / "openapi-generator-cli", "generate"),
        *("-i", folder / "description.json", "-g", language.generator),
        *("-o", folder / "generated", "--skip-validate-spec"),
    ]
    subprocess.run(generate, check=True, capture_output=True)  # noqa: S603 - ours
    printed = ""
    for command in language.commands:
        words = command.format(programs=PROGRAMS, python=sys.executable).split()
        done = subprocess.run(  # noqa: S603 - ours
            words,
            cwd=folder,
            env=os.environ | {"FACTS": json.dumps(facts)},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return f"failed: {done.stderr[-2000:]}"
        printed = done.stdout.strip()
    return printed


async def main():
    """Run every language, and return the exit code."""
    failed = False
    async with Sandbox() as sandbox:
        sandbox.populate(1)
        sandbox.connect()
        for language in LANGUAGES:
            lacking = [
                each for each in ("java", *language.needs) if not shutil.which(each)
            ]
            if lacking:
                print(f"{language.name}: left out, {', '.join(lacking)} is missing")  # noqa: T201
                continue
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                text = json.dumps(part_of_the_description())
                (folder / "description.json").write_text(text)
                result = await asyncio.to_thread(
                    run, language, folder, sandbox.describe()
                )
            print(f"{language.name}: {result}")  # noqa: T201
            failed = failed or result != "pending"
    return int(failed or bool(sandbox.log.crashes))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
