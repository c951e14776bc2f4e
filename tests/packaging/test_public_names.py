"""The public names: sorted, pinned, and imported lazily."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import persona_share


CHECKOUT = Path(__file__).parents[2]
NAMES = [
    "AccessToken",
    "AuthorizationCode",
    "ClientCredentials",
    "Failed",
    "Fetched",
    "PersonaClient",
    "PersonaError",
    "RateLimitPolicy",
    "RenewalPolicy",
    "RetryPolicy",
    "Scope",
    "ScopedSession",
    "ScopedTokenManager",
    "Secret",
    "Timeouts",
    "errors",
    "partner",
    "sandbox",
    "stores",
    "testing",
    "webhooks",
]


def test_package_root_has_exactly_these_names():
    assert persona_share.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_lazy_name_returns_the_object_of_that_name(name):
    thing = getattr(persona_share, name)

    assert thing.__name__.rpartition(".")[2] == name


def test_every_name_is_listed_before_it_is_fetched():
    listed = output_of("import persona_share as p; print(*dir(p))").split()

    assert {*NAMES, "__version__"} <= set(listed)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'refresh_token'"):
        _ = persona_share.refresh_token


def test_version_is_the_one_that_the_project_declares():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))

    assert persona_share.__version__ == project["project"]["version"]


def test_importing_the_package_imports_only_the_helper_for_lazy_names():
    modules = "[m for m in sys.modules if m.startswith(('persona_share.', 'aiohttp'))]"
    printed = output_of(f"import sys, persona_share; print({modules})")

    assert printed == "['persona_share._lazy']"


def output_of(code):
    """Return what a new interpreter prints for this code."""
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, text=True).strip()  # noqa: S603 - our own
