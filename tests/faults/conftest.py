"""Fixtures of the fault tests: a sandbox behind a proxy, or a manager alone."""

from tests._tokens.conftest import harness, make_harness
from tests.faults.environment import env, manual_env
from tests.scenarios.conftest import scenario


__all__ = ["env", "harness", "make_harness", "manual_env", "scenario"]
