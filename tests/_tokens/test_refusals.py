"""What a 401 means, branch by branch: token-manager.md §6.8."""

import asyncio
import itertools

import attrs
import pytest

from persona_share import Scope
from persona_share._pipeline.authenticated import Authenticated
from persona_share._protocol.http import Request, Response
from persona_share._tokens.bearer import TokenBearer
from persona_share.errors import CodeSourceError
from persona_share.model import events


SCOPE = Scope.read("inq_1", "ver_2")


@attrs.define
class Api:
    """Answers 401 to the tokens that it was told to refuse, or as it is scripted."""

    clock: object
    refused: set = attrs.field(factory=set)
    script: list = attrs.field(factory=list)
    seen: list = attrs.field(factory=list)
    delay: float = 0.0

    async def send(self, request):
        token = str(request.authorization).removeprefix("Bearer ")
        self.seen.append((self.clock.now(), token))
        if self.delay:
            await self.clock.sleep(self.delay)
        status = 401 if token in self.refused else 200
        return Response(status=self.script.pop(0) if self.script else status)

    @property
    def tokens(self):
        return [token for _, token in self.seen]

    @property
    def gaps(self):
        instants = [at for at, _ in self.seen]
        return [b - a for a, b in itertools.pairwise(instants)]


class Session:
    """One scope of a manager, as the sending stack sees it."""

    def __init__(self, house, manager):
        self.house = house
        self.api = Api(house.clock)
        source = TokenBearer(SCOPE, manager._broker, house.context.runtime)
        self._bearer = Authenticated(self.api, source)

    async def call(self, seconds=100.0):
        deadline = self.house.clock.now() + seconds
        request = Request(method="GET", route="/x", target="/x", deadline=deadline)
        return (await self._bearer.send(request)).status

    async def soon(self, work=None, step=0.05):
        return await self.house.soon(work or self.call(), step=step)


async def old_session(house, manager=None):
    """A session whose token is past its first seconds."""
    manager = manager or await house.manager()
    session = Session(house, manager)
    assert await session.call() == 200
    session.api.seen.clear()
    house.clock.advance(60)
    return session


@pytest.mark.asyncio
async def test_a_401_for_an_older_token_is_replayed_with_the_current_one(house):
    manager = await house.manager()
    session = await old_session(house, manager)
    session.api.delay = 1
    late = asyncio.ensure_future(session.call())
    await house.settle()
    manager.invalidate(await manager.token(SCOPE))
    await manager.token(SCOPE)
    session.api.refused = {"token1"}
    assert await session.soon(late, step=0.5) == 200
    assert session.api.tokens == ["token1", "token2"]
    assert house.told(events.TokenStruck) == []
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_a_newborn_token_gets_a_second_and_two_to_become_known(house):
    session = Session(house, await house.manager())
    session.api.script = [401, 401]
    assert await session.soon() == 200
    assert session.api.gaps == pytest.approx([1, 2], abs=0.06)
    assert house.told(events.TokenStruck) == []
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_a_newborn_token_refused_for_longer_is_told_but_not_dropped(house):
    manager = await house.manager()
    session = Session(house, manager)
    session.api.script = [401, 401, 401]
    assert await session.soon() == 401
    assert manager.peek(SCOPE) is not None
    assert len(session.api.seen) == 3


@pytest.mark.asyncio
async def test_one_stray_401_costs_nothing(house):
    session = await old_session(house)
    session.api.script = [401]
    assert await session.soon() == 200
    assert session.api.tokens == ["token1", "token1"]
    (gap,) = session.api.gaps
    assert 0.2 <= gap <= 0.56
    assert len(house.told(events.TokenStruck)) == 1
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_the_second_401_ends_the_token_and_brings_another(house):
    session = await old_session(house)
    session.api.refused = {"token1"}
    assert await session.soon() == 200
    assert session.api.tokens == ["token1", "token1", "token2"]
    assert [event.generation for event in house.told(events.TokenRevoked)] == [1]
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_a_second_401_at_the_same_moment_is_no_second_strike(house):
    session = await old_session(house)
    session.api.script = [401] * 10
    calls = asyncio.gather(*(session.call() for _ in range(10)))
    assert set(await session.soon(calls)) == {200}
    assert len(house.told(events.TokenStruck)) == 1
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f79_a_thousand_calls_under_a_revoked_token_cost_one_exchange(house):
    session = await old_session(house)
    session.api.refused = {"token1"}
    calls = asyncio.gather(*(session.call() for _ in range(1_000)))
    assert set(await session.soon(calls, step=0.1)) == {200}
    assert len(house.service.requests) == len(house.partner.asked) == 2
    # All were refused once, few of them twice, and each then went through once.
    assert session.api.tokens.count("token2") == 1_000
    assert 1_000 < session.api.tokens.count("token1") <= 2_000


@pytest.mark.asyncio
async def test_a_refused_token_is_not_used_again_where_its_replacement_fails(house):
    manager = await house.manager()
    session = await old_session(house, manager)
    session.api.refused = {"token1"}
    house.partner.script = [ValueError("down")]
    with pytest.raises(CodeSourceError):
        await session.soon()
    assert manager.peek(SCOPE) is None
    assert session.api.tokens == ["token1", "token1"]


@pytest.mark.asyncio
async def test_two_refused_tokens_in_ten_minutes_are_replaced_and_a_third_is_not(house):
    session = await old_session(house)
    for number in (1, 2):
        session.api.refused = {f"token{number}"}
        assert await session.soon() == 200
        house.clock.advance(60)
    session.api.refused = {"token3"}
    assert await session.soon() == 401
    assert len(house.service.requests) == 3
    house.clock.advance(600)
    assert await session.soon() == 200
    assert len(house.service.requests) == 4


@pytest.mark.asyncio
async def test_the_whole_budget_is_two_replays(house):
    session = await old_session(house)
    session.api.script = [401] * 9
    assert await session.soon() == 401
    assert len(session.api.seen) == 3


@pytest.mark.asyncio
async def test_a_replay_that_would_come_after_the_deadline_is_not_waited_for(house):
    session = Session(house, await house.manager())
    session.api.script = [401]
    began = house.clock.now()
    assert await session.call(seconds=0.9) == 401
    assert house.clock.now() == began


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [403, 404])
async def test_no_other_refusal_touches_the_token(house, status):
    manager = await house.manager()
    session = await old_session(house, manager)
    session.api.script = [status]
    token = await manager.token(SCOPE)
    assert await session.call() == status
    assert await manager.token(SCOPE) is token
    assert house.told(events.TokenStruck) == []


@pytest.mark.asyncio
async def test_a_revoked_token_that_comes_back_is_never_served(house):
    manager = await house.manager(codes=None)
    await manager.exchange("a." + str(SCOPE).encode().hex())
    manager.invalidate(await manager.token(SCOPE))
    house.service.requests.clear()  # so that it makes a token of the same value
    with pytest.raises(Exception, match="was revoked"):
        await manager.exchange("b." + str(SCOPE).encode().hex())
    assert manager.peek(SCOPE) is None


@pytest.mark.asyncio
async def test_the_delays_of_a_short_token_are_short(house):
    house.service.lifetime = 3
    session = Session(house, await house.manager())
    session.api.script = [401]
    assert await session.soon(step=0.01) == 200
    assert session.api.gaps == pytest.approx([0.3], abs=0.011)


@pytest.mark.asyncio
async def test_a_complaint_about_a_wider_token_that_serves_is_heard(house):
    wide = SCOPE | Scope.read("inq_9")
    manager = await house.manager(codes=None)
    await manager.exchange("a." + str(wide).encode().hex())
    session = await old_session(house, manager)
    session.api.refused = {"token1"}
    with pytest.raises(Exception, match="no code for this scope"):
        await session.soon()
    assert manager.peek(wide) is None


@pytest.mark.asyncio
async def test_a_401_after_closing_counts_for_nothing(house):
    manager = await house.manager()
    token = await manager.token(SCOPE)
    bearer = TokenBearer(SCOPE, manager._broker, house.context.runtime)
    await manager.aclose()
    house.clock.advance(60)
    assert await bearer.on_unauthorized(token, 1, house.clock.now() + 100) is None
    assert house.told(events.TokenStruck) == []
