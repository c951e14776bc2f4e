"""Tests of the metrics of a token manager."""

import pytest

from persona_share.model.events import TokenMetrics


def test_former_names_of_metrics_work_and_warn():
    metrics = TokenMetrics(issued=3, unauthorized=2)

    with pytest.warns(DeprecationWarning, match="issued"):
        assert metrics.minted == 3
    with pytest.warns(DeprecationWarning, match="unauthorized"):
        assert metrics.strikes == 2
