"""Canary: finds planted secrets."""

import logging

import pytest

from persona_share.testing import Canary, LeakError


SECRET = "planted-52ae-secret"


@pytest.fixture
def canary():
    canary = Canary()
    canary.plant(SECRET)
    return canary


@pytest.mark.parametrize(
    "thing", [f"a {SECRET} b", {"a": SECRET}, [SECRET], RuntimeError(SECRET)]
)
def test_leak_is_reported_with_its_location_but_not_the_secret(canary, thing):
    canary.look_at(thing, "the answer")
    with pytest.raises(LeakError, match="reached the answer") as caught:
        canary.check()
    assert SECRET not in str(caught.value)


def test_percent_encoded_secret_is_found_in_a_url():
    canary = Canary()
    canary.plant("a b/c=d&e+f")
    canary.look_at("https://x.example/?code=a%20b%2Fc%3Dd%26e%2Bf", "a URL")
    with pytest.raises(LeakError):
        canary.check()


def test_check_passes_without_a_leak(canary):
    canary.look_at("all is well", "the answer")
    canary.look_at_error(RuntimeError("it failed"))
    canary.check()


def test_causes_of_an_error_are_searched(canary):
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise RuntimeError("outer") from cause
    except RuntimeError as error:
        canary.look_at_error(error)
    with pytest.raises(LeakError, match="the error RuntimeError"):
        canary.check()


def test_log_records_of_every_level_are_searched(canary):
    level = logging.getLogger().level
    with canary.watching_logs():
        logging.getLogger("theirs").debug("%s", {"token": SECRET})
    logging.getLogger("theirs").debug("%s", SECRET)  # no canary is active any more
    with pytest.raises(LeakError, match=r"the log theirs$"):
        canary.check()
    assert logging.getLogger().level == level


def test_leak_is_reported_once(canary):
    canary.look_at(SECRET, "x")
    assert canary.found() is not None
    assert canary.found() is None


def test_common_word_cannot_be_planted(canary):
    with pytest.raises(ValueError, match="eight"):
        canary.plant("token")


def test_source_line_of_the_test_is_not_a_leak(canary):
    try:
        raise RuntimeError("it failed")  # planted-52ae-secret
    except RuntimeError as error:
        canary.look_at_error(error)
    canary.check()
