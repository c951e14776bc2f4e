"""JSON values become typed values, without coercion."""

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.codec import hook_for
from persona_share.model.attribute import OpenEnum
from persona_share.model.secret import Secret


def decode(kind, value):
    return hook_for(kind)(value, kind)


class Colour(OpenEnum):
    RED = "red"

    @classmethod
    def older(cls):
        return {"crimson": "RED"}


@attrs.frozen
class Inner:
    some_number: int | None = None


@attrs.frozen
class Outer:
    first_name: str = ""
    inner_value: Inner | None = None
    more_values: tuple["Outer", ...] = ()
    by_name: Mapping[str, Inner] = attrs.field(factory=dict)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (str, "a", "a"),
        (int, 1, 1),
        (float, 1, 1),
        (float, 1.5, 1.5),
        (bool, True, True),
        (date, "2026-01-02", date(2026, 1, 2)),
        (date, "", None),
        (datetime, "", None),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (Secret, "a", Secret("a")),
        (tuple[str, ...], ["a", None], ("a",)),
        (tuple[int, ...], [1, None, 2], (1, 2)),
        (Mapping[str, int], {"a": 1, "b": None}, {"a": 1}),
        (Colour, "red", Colour.RED),
        (Colour, "crimson", Colour.RED),
        (Colour, "green", "green"),
        (dict[str, int], {"a": 1}, {"a": 1}),
    ],
)
def test_value_of_its_type_is_decoded(kind, value, expected):
    assert decode(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, 1),
        (str, True),
        (int, True),
        (int, 1.0),
        (int, "1"),
        (bool, 1),
        (float, "1"),
        (float, True),
        (date, "2026-01-02T03:04:05Z"),
        (date, 20260102),
        (datetime, "2026-01-02"),
        (datetime, "2026-01-02T03:04:05"),
        (datetime, 1),
        (Secret, 1),
        (tuple[str, ...], "ab"),
        (tuple[str, ...], [1]),
        (tuple[int, ...], ["1"]),
        (Mapping[str, int], {"a": "1"}),
        (Mapping[str, int], []),
        (Colour, 1),
        (Colour, ["red"]),
        (Outer, []),
        (Outer, {"first-name": 1}),
        (Outer, {"inner-value": {"some-number": "1"}}),
    ],
)
def test_value_of_another_type_is_refused(kind, value):
    with pytest.raises((TypeError, ValueError)):
        decode(kind, value)


@pytest.mark.parametrize(
    "spelled",
    [
        {"first-name": "a", "inner-value": {"some-number": 1}},
        {"first_name": "a", "inner_value": {"some_number": 1}},
        {"firstName": "a", "innerValue": {"someNumber": 1}},
    ],
)
def test_f53_value_inside_is_built_from_any_casing(spelled):
    assert decode(Outer, spelled) == Outer("a", Inner(1))


def test_f54_missing_null_and_unknown_keys_mean_the_default():
    assert decode(Outer, {"first-name": None, "brand-new": 1}) == Outer()


def test_value_may_contain_values_of_its_class():
    nested = {
        "more-values": [{"first-name": "a"}],
        "by-name": {"x": {"some-number": 1}},
    }

    assert decode(Outer, nested) == Outer(
        more_values=(Outer("a"),), by_name={"x": Inner(1)}
    )


def test_unknown_name_is_a_member_of_its_own():
    green = decode(Colour, "green")

    assert isinstance(green, Colour)
    assert not green.known
    assert list(Colour) == [Colour.RED]
    assert isinstance(Colour.RED, enum.StrEnum)


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-8))]),
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 — hypothesis adds the zone
    )
)
def test_every_datetime_is_decoded(moment):
    assert decode(datetime, moment.isoformat()) == moment
