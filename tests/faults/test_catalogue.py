"""The catalogue itself: all ids, each once."""

from tests.faults.catalogue import BUILT, DUE, FAULTS


def ids(*ranges):
    return {f"f{number}" for first, last in ranges for number in range(first, last + 1)}


def test_every_fault_is_due_at_one_step():
    listed = [fault for step in FAULTS.values() for fault in step]
    expected = ids((1, 26), (30, 38), (40, 90), (100, 117), (120, 129), (140, 148))
    expected |= {f"f39{letter}" for letter in "abcdef"}
    assert sorted(listed) == sorted(expected)
    assert len(listed) == 129


def test_what_is_due_follows_from_what_is_built():
    assert set(FAULTS) >= BUILT
    assert {"f40", "f60", "f87"} <= DUE
