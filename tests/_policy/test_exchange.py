"""What each outcome of an exchange means, as a table."""

import json

import attrs
import pytest

from persona_share._policy.exchange import (
    Again,
    Blocked,
    Dice,
    InDoubt,
    Minted,
    Rejected,
    Tries,
    judge,
)
from persona_share._protocol.http import Response
from persona_share.errors import (
    AssertionRefusedError,
    CodeRejectedError,
    ConnectError,
    ConnectionLostError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeProtocolError,
    ExchangeRateLimitedError,
    ExchangeUnavailableError,
    TLSVerificationError,
)
from persona_share.model.policy import RenewalPolicy


POLICY = RenewalPolicy()
FIRST = Tries(deadline=30, last_moment=590)
DICE = Dice(now=0, random=0.5)


def answer(status, title="Problem", **headers):
    body = json.dumps({"errors": [{"title": title}]}).encode()
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    return Response(status=status, body=body, headers=names)


def token():
    return Response(
        status=201,
        body=b'{"access-token": "t", "token-type": "bearer", "expires-in": 3599,'
        b' "scope": "inquiry.read:inq_1"}',
    )


def decide(*outcomes, tries=FIRST, dice=DICE):
    for outcome in outcomes:
        verdict = judge(outcome, tries, dice, POLICY)
        if not isinstance(verdict, Again):
            return verdict
        tries = verdict.tries
    return verdict


@pytest.mark.parametrize("status", [200, 201])
def test_f40_any_success_with_a_token_mints(status):
    assert isinstance(decide(attrs.evolve(token(), status=status)), Minted)


@pytest.mark.parametrize("status", [201, 204])
def test_f41_a_success_without_a_token_leaves_the_code_in_doubt_for_good(status):
    verdict = decide(Response(status=status))
    assert isinstance(verdict, InDoubt)
    assert isinstance(verdict.error, ExchangeProtocolError)
    assert not verdict.replayable


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "", "application/jsonx"])
def test_t17_f24_a_token_on_a_page_of_another_kind_is_not_taken(kind):
    page = attrs.evolve(token(), headers={"content-type": kind})
    verdict = decide(page)
    assert isinstance(verdict, InDoubt)
    assert isinstance(verdict.error, ExchangeProtocolError)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=utf-8", "application/a+json"],
)
def test_t17_json_of_any_spelling_is(kind):
    page = attrs.evolve(token(), headers={"content-type": kind})
    assert isinstance(decide(page), Minted)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_f31_f35_f38_a_refused_code_is_rejected(status):
    verdict = decide(answer(status, "Record not found"))
    assert isinstance(verdict, Rejected)
    assert isinstance(verdict.error, CodeRejectedError)
    assert verdict.error.status == status


def test_f32_a_mismatch_of_the_key_is_never_repeated():
    verdict = decide(answer(400, "Idempotency error"))
    assert isinstance(verdict, InDoubt)
    assert not verdict.replayable


def test_f33_a_401_is_about_the_api_key_and_keeps_the_code():
    verdict = decide(answer(401))
    assert isinstance(verdict, Blocked)
    assert isinstance(verdict.error, ExchangeAuthenticationError)
    assert verdict.cooldown == 60


def test_f33_a_401_on_a_machine_grant_is_about_the_assertion_first():
    verdict = decide(answer(401), tries=attrs.evolve(FIRST, single_key=True))
    assert isinstance(verdict, Blocked)
    assert isinstance(verdict.error, AssertionRefusedError)
    assert "assertion" in str(verdict.error)
    assert verdict.cooldown == 60


def test_f34_a_403_keeps_the_code_and_waits_five_minutes():
    verdict = decide(answer(403, "Forbidden"))
    assert isinstance(verdict, Blocked)
    assert isinstance(verdict.error, ExchangeForbiddenError)
    assert verdict.cooldown == 300


@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_f36_f39e_a_transient_answer_is_asked_again_under_the_same_key(status):
    verdict = decide(answer(status))
    assert isinstance(verdict, Again)
    assert verdict.tries.epoch == 0


@pytest.mark.parametrize("error", [ConnectError("x"), ConnectionLostError("x")])
def test_f1_f10_silence_is_asked_again_under_the_same_key(error):
    verdict = decide(error)
    assert isinstance(verdict, Again)
    assert verdict.tries.epoch == 0


def test_f7_a_refused_certificate_ends_it_with_the_code_unsent():
    verdict = decide(TLSVerificationError("x"))
    assert isinstance(verdict, Blocked)


def test_four_attempts_are_the_most():
    verdict = decide(*[ConnectionLostError("x")] * 4)
    assert isinstance(verdict, InDoubt)
    assert verdict.replayable
    assert isinstance(verdict.error, ExchangeUnavailableError)
    assert len(verdict.error.attempts) == 4


def test_a_code_that_never_left_goes_back_unharmed():
    assert isinstance(decide(*[ConnectError("x")] * 4), Blocked)


def test_a_401_after_a_lost_answer_does_not_clear_the_doubt():
    assert isinstance(decide(ConnectionLostError("x"), answer(401)), InDoubt)


def test_f39d_a_500_is_probed_once_then_asked_once_under_the_second_key():
    first = decide(answer(500))
    second = decide(answer(500), answer(500))
    third = decide(answer(500), answer(500), answer(500))
    assert isinstance(first, Again)
    assert isinstance(second, Again)
    assert (first.tries.epoch, second.tries.epoch) == (0, 1)
    assert isinstance(third, InDoubt)


def test_a_502_never_leads_to_a_second_key():
    verdict = decide(answer(502), answer(502), answer(502))
    assert isinstance(verdict, Again)
    assert verdict.tries.epoch == 0


def test_f37_a_conflict_is_asked_again_for_five_seconds_and_then_rejected():
    assert isinstance(decide(answer(409)), Again)
    tries = attrs.evolve(FIRST, conflicted_since=-5.1)
    assert isinstance(decide(answer(409), tries=tries), Rejected)


def test_f39a_a_429_waits_for_the_reset_with_the_code_in_hand():
    verdict = decide(answer(429, ratelimit_reset="42"))
    assert isinstance(verdict, Again)
    assert 42 <= verdict.delay <= 43
    assert verdict.closed_for == 42


def test_f85_a_429_longer_than_the_codes_life_is_not_waited_for():
    tries = Tries(deadline=30, last_moment=40)
    verdict = decide(answer(429, ratelimit_reset="42"), tries=tries)
    assert isinstance(verdict, Blocked)
    assert isinstance(verdict.error, ExchangeRateLimitedError)
    assert verdict.error.retry_after == 42


@pytest.mark.parametrize("status", [501, 505, 599])
def test_f39f_another_5xx_leaves_the_code_in_doubt(status):
    assert isinstance(decide(answer(status)), InDoubt)


@pytest.mark.parametrize("status", [302, 418, 451])
def test_f30_anything_else_is_an_error_at_once(status):
    verdict = decide(answer(status))
    assert isinstance(verdict.error, ExchangeProtocolError)


def test_the_budget_ends_the_exchange():
    verdict = decide(ConnectionLostError("x"), dice=Dice(now=29.9, random=0.9))
    assert isinstance(verdict, InDoubt)


def test_a_title_that_echoes_a_long_word_does_not_carry_it_on():
    verdict = decide(answer(404, "Unknown code 8qaA6Q9GQnPjqiWB8BPed9MC6twE"))
    assert "8qaA6Q9G" not in str(verdict.error)
