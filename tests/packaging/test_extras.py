"""A missing extra is reported in one form, wherever it is missed first."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

from persona_share.errors import ConfigurationError, MissingExtraError
from tests.packaging.conftest import PROJECT


pytestmark = pytest.mark.slow  # each test starts programs


REGISTRATION = """
import asyncio
from persona_share.sandbox import Sandbox

async def register():
    async with Sandbox() as sandbox:
        sandbox.register_oauth_client("org_1", "a key", [])

asyncio.run(register())
"""
#: A statement that needs each extra.
NEEDS = {
    "crypto": ["from persona_share.stores import Encrypted"],
    "httpx": ["import persona_share.integrations.httpx"],
    "m2m": [
        "from persona_share import ClientCredentials as C; C('org_1', 'a key')",
        "from persona_share.partner import SigningKey; SigningKey('a key')",
        REGISTRATION,
    ],
    "otel": ["import persona_share.integrations.otel"],
    "postgres": ["from persona_share.stores import PostgresStore"],
    "redis": ["from persona_share.stores import RedisStore"],
    "starlette": ["import persona_share.integrations.starlette"],
}
PROGRAM = """
    import json, sys

    statements, blocked = json.load(sys.stdin)

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in blocked:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Blocker())
    told = []
    for statement in statements:
        try:
            exec(statement, {})
        except BaseException as error:
            told.append([type(error).__name__, str(error), str(error.__cause__)])
    print(json.dumps(told))
"""


def packages_of(*extras):
    """Return the import names of the packages of these extras."""
    found = {
        re.split(r"[^\w-]", requirement)[0].replace("-", "_")
        for extra in extras
        for requirement in PROJECT["optional-dependencies"][extra]
    }
    return found | ({"opentelemetry"} if "otel" in extras else set())


def errors_without(blocked, statements):
    """Return what each statement raises in a process that lacks these packages."""
    blocked = sorted(blocked)
    run = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        input=json.dumps([statements, blocked]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def errors():
    """Return what each statement says in a process that lacks every extra."""
    statements = [each for needs in NEEDS.values() for each in needs]
    found = errors_without(packages_of(*NEEDS, "cli"), statements)
    return dict(zip(statements, found, strict=True))


def test_every_extra_has_something_that_needs_it():
    assert {*NEEDS, "cli"} == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize(
    ("extra", "statement"),
    [(extra, each) for extra, needs in NEEDS.items() for each in needs],
)
def test_missing_extra_is_named_in_one_form(errors, extra, statement):
    kind, message, cause = errors[statement]
    form = (
        r"[\w. -]+ needs \w+, which is not installed\. "
        rf"Run: pip install 'persona-share\[{extra}\]'"
    )
    assert re.fullmatch(form, message)
    assert kind == "MissingExtraError"
    assert cause == "None"


KEYGEN = "import sys; sys.argv[1:] = ['partner', 'keygen', '--key-file', 'none']; "


@pytest.mark.parametrize(("extra", "before"), [("cli", ""), ("m2m", KEYGEN)])
def test_command_without_its_extra_ends_as_a_usage_error(extra, before):
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(packages_of(extra))!r}))\n"
        f"{before}from persona_share.cli import main; main()"
    )
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert f"pip install 'persona-share[{extra}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_command_is_there_with_the_extra_of_the_command_line_alone():
    blocked = packages_of(*NEEDS) - packages_of("cli")
    statement = (
        "from persona_share.cli.app import app\n"
        "for name in app.list_commands(None): assert app.get_command(None, name)"
    )
    assert errors_without(blocked, [statement, "import redis"]) == [
        ["ModuleNotFoundError", "No module named 'redis'", "None"]
    ]


def test_package_that_cannot_be_imported_is_not_called_missing():
    broken = ImportError("no library libpq", name="psycopg")
    error = MissingExtraError.of(broken, "PostgresStore", "postgres")
    assert "needs psycopg, which cannot be imported" in str(error)
    assert isinstance(error, ConfigurationError)
    assert isinstance(error, ModuleNotFoundError)
