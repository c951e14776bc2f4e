"""Fixtures of the fault tests: a sandbox behind a proxy, or a manager alone."""

from tests._tokens.conftest import house, make_house
from tests.faults.scene import exchanges, scene
from tests.scenarios.conftest import journey


__all__ = ["exchanges", "house", "journey", "make_house", "scene"]
