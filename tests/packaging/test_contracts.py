"""The import contracts hold, and each of them can break.

A contract that nothing can break looks kept for ever. So every one is broken here, on a
copy of the package, by the smallest violation that it exists to find.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


CHECKOUT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

LAYERS = "Imports only go down"
PURE = "Policy, protocol, model and errors are pure"
PORTS = "Services depend on ports, not on concrete classes"
SANDBOX = "The sandbox shares no code with the client"
STORES = "Stores are independent"
CYCLES = "No import cycles"
ROOT = "Internal modules do not import from the package root"
LIBRARIES = "Each library is imported where it belongs"

#: (package to write into, line to write, contracts that this breaks)
VIOLATIONS = {
    "a_clock_in_a_pure_package": (
        "_policy/planted.py",
        "import time",
        {PURE, LIBRARIES},
    ),
    "the_model_importing_a_higher_layer": (
        "model/planted.py",
        "from persona_share import ports",
        {LAYERS, CYCLES},
    ),
    "a_service_importing_a_concrete_class": (
        "_tokens/planted.py",
        "from persona_share import _transport",
        {PORTS},
    ),
    "a_socket_in_a_sender": (
        "_pipeline/planted.py",
        "from aiohttp import ClientSession",
        {PORTS, LIBRARIES},
    ),
    "the_sandbox_reading_the_clients_codec": (
        "sandbox/planted.py",
        "from persona_share._protocol import codec",
        {SANDBOX},
    ),
    "the_sandbox_reading_the_clients_values": (
        "sandbox/planted.py",
        "from persona_share.model import inquiry",
        {SANDBOX},
    ),
    "the_sandbox_importing_a_package_that_no_list_names": (
        "sandbox/planted.py",
        "from persona_share import _compose",
        {SANDBOX},
    ),
    "a_testing_helper_importing_the_command_line": (
        "testing/planted.py",
        "from persona_share import cli",
        {LAYERS},
    ),
    "a_store_importing_another": (
        "stores/planted.py",
        "from persona_share.stores import neighbour",
        {STORES},
    ),
    "a_store_using_another_stores_library": (
        "stores/planted.py",
        "import sqlite3",
        {LIBRARIES},
    ),
    "a_module_that_the_layers_lack": (
        "helpers.py",
        "ANSWER = 42",
        {LAYERS},
    ),
    "an_internal_module_importing_from_the_root": (
        "_pipeline/planted.py",
        "from persona_share import Scope",
        {ROOT},
    ),
    "cattrs_outside_the_codec": (
        "resources/planted.py",
        "import cattrs",
        {LIBRARIES},
    ),
}


def broken_contracts(copy: Path) -> set[str]:
    """Return the names of the contracts that do not hold in this copy."""
    response = subprocess.run(  # noqa: S603 - the linter of our own environment
        [LINTER, "--no-logo", "--no-cache"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = re.findall(r"^(.+?) +(KEPT|BROKEN)\b", response.stdout, re.MULTILINE)
    assert len(verdicts) == len(declared()), response.stdout + response.stderr
    assert (response.returncode == 0) == all(word == "KEPT" for _, word in verdicts)
    return {name for name, word in verdicts if word == "BROKEN"}


def declared() -> list[str]:
    """Return the names of all contracts of the project."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    return [each["name"] for each in project["tool"]["importlinter"]["contracts"]]


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return a copy of the package and of its contracts."""
    copy = tmp_path_factory.mktemp("copied") / "copy"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "persona_share", copy / "persona_share", ignore=leave)
    shutil.copy(CHECKOUT / "pyproject.toml", copy)
    return copy


@pytest.fixture
def plant(copied):
    """Write lines into the copied package, and take them out afterwards."""
    planted = []

    def write(path, line):
        planted.append(copied / "persona_share" / path)
        planted[-1].write_text(f'"""Planted."""\n\n{line}\n', "utf-8")
        return copied

    yield write
    for each in planted:
        each.unlink()


def test_package_keeps_every_contract(copied):
    assert broken_contracts(copied) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_breaks_its_contract(plant, name):
    path, line, broken = VIOLATIONS[name]
    plant("stores/neighbour.py", "")

    assert broken_contracts(plant(path, line)) == broken


def test_every_contract_is_seen_to_break():
    seen = set().union(*(broken for _, _, broken in VIOLATIONS.values()))

    assert sorted(seen) == sorted(declared())
