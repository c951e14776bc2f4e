"""G10: a thousand bodies, ids and links of those that `make soak-fuzz` tries."""

from tests.fuzz import MIB, heaviest, run, tried


def test_every_response_is_a_value_or_a_persona_error():
    count, found = run(1_000)
    assert count == 1_000
    assert found == []


def test_no_response_needs_much_memory():
    assert heaviest(200) <= MIB


def test_check_finds_an_error_of_another_library():
    [(name, what)] = tried({"good": int, "bad": lambda: 1 // 0})
    assert name == "bad"
    assert "ZeroDivisionError" in what
