"""The set operations of scopes, and invalid scopes."""

import pickle

import pytest
from hypothesis import given, strategies as st

from persona_share.errors import InvalidIdError, InvalidScopeError
from persona_share.model.scope import Scope, ScopeWarning


ids = st.text("abcXYZ019_-", min_size=1, max_size=12)
permissions = st.sampled_from(
    ["inquiry.read", "inquiry.write", "txn.read", "case.write"]
)
atoms = st.one_of(st.builds("{}:{}".format, permissions, ids), permissions)
scopes = st.builds(Scope, st.lists(atoms, max_size=8))


@given(st.lists(atoms, max_size=8), st.randoms())
def test_order_repetition_and_white_space_are_ignored(words, rng):
    again = [*words, *words[:2]]
    rng.shuffle(again)
    assert Scope.parse("\t ".join(again) + "\n") == Scope.parse(" ".join(words))


@given(scopes)
def test_text_and_scope_are_one(scope):
    assert Scope.parse(str(scope)) == scope
    assert hash(Scope.parse(str(scope))) == hash(scope)
    assert list(scope) == sorted(set(scope))


@given(scopes)
def test_scope_survives_pickling(scope):
    assert pickle.loads(pickle.dumps(scope)) == scope  # noqa: S301  # our own


@given(scopes, scopes)
def test_union_intersection_and_difference_are_those_of_sets(one, other):
    assert set(one | other) == set(one) | set(other)
    assert set(one & other) == set(one) & set(other)
    assert set(one - other) == set(one) - set(other)


@given(scopes, scopes)
def test_comparison_is_set_inclusion(one, other):
    assert (one <= other) == (set(one) <= set(other))
    assert (one < other) == (set(one) < set(other))
    assert (one >= other) == (set(one) >= set(other))
    assert (one > other) == (set(one) > set(other))
    assert (one in other) == (one <= other)


@given(scopes, scopes, scopes)
def test_coverage_is_reflexive_and_transitive(one, two, three):
    assert one <= one  # noqa: PLR0124  # that it is reflexive
    if one <= two <= three:
        assert one <= three


@given(scopes, atoms)
def test_atom_is_in_a_scope_when_it_was_put_there(scope, atom):
    assert (atom in scope) == (atom in set(scope.atoms))


def test_write_does_not_imply_read():
    assert not Scope.parse("inquiry.write:inq_1").covers("inquiry.read", "inq_1")


def test_bare_permission_is_not_a_permission_on_an_object():
    assert not Scope.parse("inquiry.read").covers("inquiry.read", "inq_1")


def test_names_are_case_sensitive():
    assert not Scope.parse("inquiry.read:inq_a").covers("inquiry.read", "inq_A")


def test_object_id_begins_after_the_first_colon():
    assert list(Scope.parse("txn.read:txn_1").pairs()) == [("txn.read", "txn_1")]


def test_read_finds_the_permission_by_the_prefix_of_the_id():
    scope = Scope.read("inq_1", "ver_2", "act_3", "txn_4", "case_5", "rep_6", "doc_7")
    assert str(scope) == (
        "account.read:act_3 case.read:case_5 document.read:doc_7 "
        "inquiry.read:inq_1 report.read:rep_6 txn.read:txn_4 verification.read:ver_2"
    )


def test_write_finds_the_permission_by_the_prefix_of_the_id():
    assert str(Scope.write("txn_4")) == "txn.write:txn_4"


def test_unknown_prefix_asks_for_the_permission_by_name():
    with pytest.raises(InvalidScopeError, match=r"Scope\.of\('….read', id\)") as caught:
        Scope.read("inq_1", "dev_1")
    assert caught.value.index == 1


def test_of_takes_any_permission():
    assert str(Scope.of("device.read", "dev_1")) == "device.read:dev_1"


@pytest.mark.parametrize(
    ("text", "index", "position"),
    [
        ("inquiry.read:inq_1 inquiry", 1, 19),
        ("inquiry.read:", 0, 0),
        ("inquiry.read:inq_1  :inq_2", 1, 20),
        ("Inquiry.read:inq_1", 0, 0),
        ("inquiry.read:../oauth", 0, 0),
        ("inquiry.read:inq_1 inquiry.read:inq_1:2", 1, 19),
        ("inquiry.read:inq_ü", 0, 0),
        ("inquiry.read:*", 0, 0),
        ("a.b:" + "x" * 129, 0, 0),
    ],
)
def test_malformed_atom_is_pointed_at(text, index, position):
    with pytest.raises(InvalidScopeError) as caught:
        Scope.parse(text)
    assert (caught.value.index, caught.value.position) == (index, position)


def test_error_does_not_repeat_the_text():
    with pytest.raises(InvalidScopeError) as caught:
        Scope.parse("persona_production_canary")
    assert "canary" not in f"{caught.value!s}{caught.value!r}"


def test_256_atoms_are_the_most():
    assert len(Scope.read(*(f"inq_{number}" for number in range(256)))) == 256
    with pytest.raises(InvalidScopeError, match="256 permissions at most"):
        Scope.read(*(f"inq_{number}" for number in range(257)))


def test_16_kib_are_the_most():
    long = [f"inquiry.read:inq_{number:03}{'x' * 100}" for number in range(256)]
    with pytest.raises(InvalidScopeError, match="16384 bytes"):
        Scope(long)


def test_union_over_the_limit_is_refused_too():
    one = Scope.read(*(f"inq_{number}" for number in range(200)))
    other = Scope.read(*(f"ver_{number}" for number in range(200)))
    with pytest.raises(InvalidScopeError):
        one | other


def test_id_with_path_characters_never_becomes_a_scope():
    with pytest.raises(InvalidIdError):
        Scope.read("inq_1/../../oauth")


@pytest.mark.parametrize("value", [None, 7, b"inquiry.read:inq_1", ["inquiry.read"]])
def test_anything_but_text_is_refused(value):
    with pytest.raises(InvalidScopeError):
        Scope.parse(value)


def test_text_of_a_scope_is_canonical():
    scope = Scope(["b.read:x_2", "a.read:x_1", "b.read:x_2"])
    assert scope.text == str(scope) == "a.read:x_1 b.read:x_2"
    assert Scope().text == ""


@pytest.mark.parametrize(
    "text", ["", " ", "a.read:x_1 b.read:x_2", "read:x_1", "a.read:x"]
)
def test_scope_contains_whole_atoms_only(text):
    assert text not in Scope(["a.read:x_1", "b.read:x_2"])
    assert text not in Scope()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("inquiry.reed:inq_1", "did you mean 'inquiry.read'"),
        ("brand_new.read:x_1", "not a permission that persona_share knows"),
        ("verification.read:inq_1", "used with the id of an inquiry"),
    ],
)
def test_parse_warns_about_a_likely_mistake(text, words):
    with pytest.warns(ScopeWarning, match=words):
        assert Scope.parse(text).text == text

    assert Scope.from_text(text).text == text


def test_unknown_prefix_causes_no_warning():
    assert Scope.parse("inquiry.read:new_1 inquiry.read").atoms
