"""No open question without a switch, and no switch without a test."""

from pathlib import Path

import attrs
import pytest

from persona_share.sandbox import Switches


TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py"))


# What is owed: these have no test yet. A name that gets one must leave this list.
OWED = frozenset(
    [
        "accepts_after",
        "can_peek",
        "decides_unfinished",
        "expired_file_status",
        "expires_by",
        "failed_can_be_redeemed",
        "file_lifetime",
        "foreign_file_status",
        "hydrated_status",
        "mappings_with_clone",
        "not_the_source_status",
        "one_connection_per_destination",
        "redacts_kin_at_once",
        "redeem_refusal_status",
        "redemption_seconds",
        "refuses_unknown",
        "report_seconds",
        "rotation_order",
        "scoped_print",
        "scoped_redact",
        "search_delay",
        "self_direction",
        "sessions_come_with_inquiry",
        "share_conflict_status",
        "share_refusal_status",
        "share_shape",
        "shares_on_pending",
        "state_conflict_status",
        "token_may_call_connect",
        "unknown_reference_status",
        "webhook_success",
        "webhook_timeout",
    ]
)
NAMES = [field.name for field in attrs.fields(Switches)]


def test_nothing_is_owed_that_was_given():
    assert {name for name in OWED if f"switches.{name} = " in TESTS} == set()
    assert set(NAMES) >= OWED


@pytest.mark.parametrize("name", sorted(set(NAMES) - OWED))
def test_each_switch_is_turned_in_some_test(name):
    assert f"switches.{name} = " in TESTS
