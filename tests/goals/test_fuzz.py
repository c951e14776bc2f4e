"""G10: a thousand bodies, ids and links of those that `make soak-fuzz` tries."""

from tests.fuzz import MIB, heaviest, run, tried


def test_g10_t16_t19_whatever_comes_is_a_value_or_an_error_of_ours():
    count, found = run(1_000)
    assert count == 1_000
    assert found == []


def test_g10_nothing_that_comes_needs_much_memory():
    assert heaviest(200) <= MIB


def test_g10_a_foreign_error_would_be_found():
    [(name, what)] = tried({"good": int, "bad": lambda: 1 // 0})
    assert name == "bad"
    assert "ZeroDivisionError" in what
