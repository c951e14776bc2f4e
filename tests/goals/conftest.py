"""What the goals are measured on: two organizations on one sandbox."""

from tests.scenarios.conftest import journey


__all__ = ["journey"]
