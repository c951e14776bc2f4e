"""What the tests of faults get: a sandbox behind a proxy, or a manager by itself."""

from tests._tokens.conftest import house, make_house
from tests.faults.scene import exchanges, scene
from tests.scenarios.conftest import journey


__all__ = ["exchanges", "house", "journey", "make_house", "scene"]
