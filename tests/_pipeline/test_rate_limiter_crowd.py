"""G19: many callers before the rate limiter, on virtual time."""

import math

from benchmarks.rate_limit import Service, crowd
from benchmarks.virtual import run
from persona_share.model.policy import RateLimitMode


def test_g19_many_callers_use_every_window_without_a_429():
    service = run(crowd(Service(math.ceil), calls=1_000))
    assert service.refused == 0
    assert service.windows[:3] == [299, 299, 299]


def test_g19_two_processes_that_know_nothing_of_each_other_are_hardly_refused():
    service = run(crowd(Service(math.floor), processes=2, calls=1_000))
    assert service.refused <= 4
    assert min(service.windows[:3]) >= 294


def test_g19_beside_a_stranger_nothing_is_left_unused():
    service = run(crowd(Service(math.floor), strangers=True, calls=1_000))
    assert service.refused <= 4
    assert service.windows[:3] == [300, 300, 300]


def test_after_429_mode_is_refused_once_a_window_by_all_who_were_under_way():
    service = run(crowd(Service(math.ceil), calls=600, mode=RateLimitMode.AFTER_429))
    assert service.windows[0] == 300
    assert 0 < service.refused < 200
