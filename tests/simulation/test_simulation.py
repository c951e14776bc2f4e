"""A hundred random schedules of three managers over one store, most in the slow tests."""

import asyncio

import pytest

from tests.simulation.fleet import broken_by


SEEDS = [
    pytest.param(seed, marks=[pytest.mark.slow] if seed % 5 else [])
    for seed in range(100)
]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_schedule_of_faults_breaks_a_fleet(seed):
    assert broken_by(seed) == []


if hasattr(asyncio, "eager_task_factory"):

    @pytest.mark.parametrize("seed", range(0, 100, 10))
    def test_no_schedule_breaks_a_fleet_when_tasks_start_at_once(seed):
        assert broken_by(seed, eager=True) == []
