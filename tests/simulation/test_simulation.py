"""A simulated day breaks no invariant, leaves the same trace, and finds mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import plants
from tests.simulation.__main__ import main, twice
from tests.simulation.run import Simulation, within_grace


STEPS = 200


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 5))]
)
def test_g8_a_run_breaks_nothing_and_leaves_the_same_trace_again(seed):
    _, breaks = twice(seed, STEPS)

    assert breaks == []


def test_runs_of_two_seeds_differ():
    assert Simulation(1, 20).run().trace != Simulation(2, 20).run().trace


@pytest.mark.slow
def test_another_process_with_other_hashes_of_text_leaves_the_same_trace():
    command = [sys.executable, "-m", "tests.simulation", "--seeds=1", "--steps=60"]
    house = Path(__file__).parents[2]
    lines = {
        subprocess.run(  # noqa: S603  # it is our own command
            command,
            cwd=house,
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for number in ("1", "2")
    }

    assert len(lines) == 1


@pytest.mark.parametrize(
    ("plant", "number"),
    [
        (plants.fresh_keys, 2),
        (plants.twice, 1),
        (plants.stretched, 14),
        (plants.sleepy, 8),
        (plants.indiscreet, 22),
        (plants.clinging, 26),
    ],
)
def test_a_planted_mistake_is_found(plant, number):
    runs = (Simulation(seed, 60, plant).run() for seed in range(20))
    expected = f"invariant {number}:"

    assert any(line.startswith(expected) for run in runs for line in run.breaks)


@pytest.mark.parametrize(
    ("turned_at", "ended", "in_time"),
    [(4.0, 5.0, True), (4.0, 17.0, True), (5.0, 5.1, False), (6.0, 17.0, False)],
)
def test_26_a_closing_ends_at_the_first_turn_after_its_grace(turned_at, ended, in_time):
    assert within_grace(0.0, turned_at, ended) is in_time


def test_the_last_line_is_for_machines(capsys):
    assert main(["--seeds=2", "--steps=20"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("simulation: seeds=2 breaks=0 trace=")


def test_nothing_run_is_no_success(capsys):
    assert main(["--seeds=0"]) == 1
    assert "seeds=0" in capsys.readouterr().out
