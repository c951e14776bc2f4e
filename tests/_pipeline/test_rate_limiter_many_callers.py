"""G19: many callers before the rate limiter, on virtual time."""

import math

from benchmarks.rate_limit import Service, crowd
from benchmarks.virtual import run
from persona_share.model.policy import RateLimitMode


def test_many_callers_use_every_window_without_a_429():
    service = run(crowd(Service(math.ceil), calls=1_000))
    assert service.refused == 0
    assert service.windows[:3] == [299, 299, 299]


def test_uncoordinated_processes_get_few_429s():
    service = run(crowd(Service(math.floor), processes=2, calls=1_000))
    assert service.refused <= 4
    assert min(service.windows[:3]) >= 294


def test_limit_is_fully_used_beside_another_client():
    service = run(crowd(Service(math.floor), other_clients=True, calls=1_000))
    assert service.refused <= 4
    assert service.windows[:3] == [300, 300, 300]


def test_after_429_mode_gets_one_429_per_call_in_flight_per_window():
    service = run(crowd(Service(math.ceil), calls=600, mode=RateLimitMode.AFTER_429))
    assert service.windows[0] == 300
    assert 0 < service.refused < 200
