"""Two organizations on one sandbox, for measurements."""

from tests.scenarios.conftest import journey


__all__ = ["journey"]
