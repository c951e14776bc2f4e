"""Valid ids, and errors that locate a mistake without repeating the id."""

from enum import Enum

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.routes import InquiryRoutes
from persona_share.errors import InvalidIdError
from persona_share.model.ids import checked_id, resource_of
from persona_share.model.scope import Scope
from persona_share.resources.base import covers


class Ids(str, Enum):  # noqa: UP042  # the members of a StrEnum are like plain texts
    INQUIRY = "inq_1"


class HiddenId(str):
    """An id that logs must not show, and that says something else about itself."""

    __slots__ = ()

    def __str__(self):
        return "../accounts"


@pytest.mark.parametrize("text", ["inq_AbC123", "x", "a-b_c", "9" * 128])
def test_ids_consist_of_letters_digits_underscore_and_hyphen(text):
    assert checked_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inq_1/2",
        "inq_1\r\nX: y",
        "inq_1\n",
        "inq_%2e%2e",
        "..",
        "inq_ü",
        "inq_1 ",
        "inq_\uff11",
        "x" * 129,
    ],
)
def test_other_ids_are_refused(text):
    with pytest.raises(InvalidIdError):
        checked_id(text)


@pytest.mark.parametrize("given_id", [Ids.INQUIRY, HiddenId("inq_1")], ids=type)
def test_checked_text_is_used_when_an_id_is_of_a_subclass_of_str(given_id):
    checked = checked_id(given_id)
    scope = Scope.of("inquiry.read", given_id)

    assert (type(checked), checked) == (str, "inq_1")
    assert InquiryRoutes.RETRIEVE.path(given_id) == "/inquiries/inq_1"
    assert str(scope) == str(Scope.read(given_id)) == "inquiry.read:inq_1"
    assert scope.covers("inquiry.read", given_id)
    assert covers(scope, "inquiry.read", given_id)


@given(st.text())
def test_no_text_with_other_characters_passes(text):
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    try:
        checked_id(text)
    except InvalidIdError:
        assert not text or set(text) - allowed or len(text) > 128
    else:
        assert set(text) <= allowed
        assert 0 < len(text) <= 128


def test_error_names_the_position_and_not_the_id():
    with pytest.raises(InvalidIdError, match="'/' at position 10") as caught:
        checked_id("canary_inq/x")
    assert "canary" not in str(caught.value)


def test_only_text_can_be_an_id():
    with pytest.raises(InvalidIdError, match="not int"):
        checked_id(7)


def test_transactions_are_called_txn_in_permissions():
    assert resource_of("txn_1") == "txn"
    assert resource_of("cas_1") is None
    assert resource_of("inq_") is None
