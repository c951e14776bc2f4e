"""Two organizations on one sandbox, for measurements."""

from tests.scenarios.conftest import scenario


__all__ = ["scenario"]
