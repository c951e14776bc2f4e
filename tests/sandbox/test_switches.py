"""No open question without a switch, and no switch without a test."""

from pathlib import Path

import attrs
import pytest

from persona_share.sandbox import Switches


TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py"))


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Switches)])
def test_each_switch_is_turned_in_some_test(name):
    assert f"switches.{name} = " in TESTS
