"""Shared: one rate limit window for all processes, in a real Redis."""

import asyncio

import pytest
import pytest_asyncio

from persona_share import PersonaClient
from persona_share._protocol.limits import Seen
from persona_share.errors import (
    ConfigurationError,
    RateLimitedError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Share
from persona_share.sandbox import Sandbox
from persona_share.stores import Shared
from persona_share.stores.redis.window import script
from persona_share.testing import FakeClock, fake_runtime
from tests.redis_server import one_redis, own_redis, redis_server
from tests.stores.movable import CLOCK, move


__all__ = ["one_redis", "own_redis", "redis_server"]

NAME = "0123456789abcdef"


@pytest_asyncio.fixture
async def shared(redis_server):
    shared = Shared(redis_server.url)
    shared._script = script(CLOCK)
    await shared.open(fake_runtime(FakeClock()))
    yield shared
    await shared.close()


@pytest.mark.asyncio
async def test_one_process_finds_out_how_the_window_stands(shared):
    first = await shared.take(NAME, 10, None)
    second = await shared.take(NAME, 10, None)

    assert first == Share(1, 1.0)
    assert second.calls == 0
    assert second.seconds <= 0.05


@pytest.mark.asyncio
async def test_a_look_that_is_never_answered_is_followed_by_another(
    shared, redis_server
):
    await shared.take(NAME, 10, None)
    move(redis_server, 1.1)

    assert (await shared.take(NAME, 10, None)).calls == 1


@pytest.mark.asyncio
async def test_what_one_saw_is_spent_by_all_and_never_twice(shared):
    await shared.take(NAME, 0, Seen(100, 60.0))
    taken = []
    while (share := await shared.take(NAME, 64, None)).calls:
        taken.append(share.calls)

    assert sum(taken) == 99  # one is held back
    assert taken[0] == 99 // 8
    assert 59 < share.seconds <= 60


@pytest.mark.asyncio
async def test_calls_of_strangers_count_as_soon_as_somebody_sees_them(shared):
    await shared.take(NAME, 0, Seen(100, 60.0))
    await shared.take(NAME, 0, Seen(3, 59.0))
    taken = [(await shared.take(NAME, 64, None)).calls for _ in range(4)]

    assert taken == [1, 1, 0, 0]


@pytest.mark.asyncio
async def test_a_late_answer_of_the_window_before_changes_nothing(shared, redis_server):
    await shared.take(NAME, 0, Seen(0, 5.0))
    move(redis_server, 6.0)
    await shared.take(NAME, 0, Seen(299, 60.0))
    await shared.take(NAME, 0, Seen(0, 1.0))

    assert (await shared.take(NAME, 8, None)).calls == 8


@pytest.mark.asyncio
async def test_when_the_window_has_ended_one_process_looks_again(shared, redis_server):
    await shared.take(NAME, 0, Seen(50, 5.0))
    move(redis_server, 5.1)

    assert (await shared.take(NAME, 10, None)).calls == 1
    assert (await shared.take(NAME, 10, None)).calls == 0


@pytest.mark.asyncio
async def test_its_key_ends_and_holds_nothing_but_counts(shared, redis_server):
    await shared.take(NAME, 0, Seen(50, 5.0))
    [key] = [each for each in redis_server.client.scan_iter() if NAME.encode() in each]

    assert 0 < redis_server.client.pttl(key) <= 65_000
    assert set(redis_server.client.hgetall(key)) == {b"e", b"l", b"h"}


@pytest.mark.asyncio
async def test_t23_a_connection_that_others_hear_is_refused():
    shared = Shared("redis://redis.example.com")
    with pytest.raises(StoreRefusedError, match="read"):
        await shared.open(fake_runtime(FakeClock()))


@pytest.mark.asyncio
async def test_a_redis_that_is_away_is_told_as_that(own_redis):
    server = own_redis()
    shared = Shared(server.url)
    await shared.open(fake_runtime(FakeClock()))
    server.stop()
    with pytest.raises(StoreUnavailableError):
        await shared.take(NAME, 1, None)
    await shared.close()


def test_its_repr_shows_no_address():
    assert repr(Shared("rediss://:word@redis.example.com")) == "<Shared ptm1>"


def test_something_else_is_no_pacing():
    with pytest.raises(ConfigurationError, match=r"SharedRateLimit"):
        PersonaClient("key", rate_limit="shared")


async def first(listing):
    return await listing


def client(box, redis_server, **options):
    return PersonaClient(
        box.destination.api_key,
        base_url=box.url,
        insecure_local=True,
        rate_limit=Shared(redis_server.url),
        **options,
    )


@pytest.mark.asyncio
async def test_g19_two_clients_spend_one_window_and_not_a_call_more(redis_server):
    async with (
        Sandbox(rate_limit=40) as box,
        client(box, redis_server) as one,
        client(box, redis_server) as two,
        client(box, redis_server, timeout=2.0) as hurried,
    ):
        calls = [
            first(each.rate_limits.list()) for each in (one, two) for _ in range(19)
        ]
        await asyncio.gather(*calls)
        late = [first(hurried.rate_limits.list()) for _ in range(5)]
        results = await asyncio.gather(*late, return_exceptions=True)
        refused = box.log.count("GET /rate-limits", status=429)

    assert refused == 0
    assert [each for each in results if isinstance(each, RateLimitedError)]
    assert box.log.count("GET /rate-limits", status=200) <= 40


@pytest.mark.asyncio
async def test_without_redis_each_client_paces_itself(own_redis):
    server = own_redis()
    async with Sandbox(rate_limit=20) as box, client(box, server) as one:
        server.stop()
        calls = [first(one.rate_limits.list()) for _ in range(15)]
        answers = await asyncio.gather(*calls)

    assert len(answers) == 15
