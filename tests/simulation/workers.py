"""What the workers of a run do: one thing after the other, as the dice fall."""

import asyncio

from tests._tokens.world import SCOPES


#: How often each action comes, of all that come.
ACTIONS = (
    *["get"] * 36,
    *["call"] * 24,
    *["offer"] * 10,
    *["exchange"] * 8,
    *["deliver_twice"] * 4,
    *["invalidate"] * 4,
    *["revoke"] * 4,
    *["stray"] * 4,
    *["warm"] * 3,
    *["forget"] * 2,
    *["reopen"] * 1,
)
PAUSES = (0.1, 1.0, 10.0, 100.0, 600.0)
TIMEOUTS = (0.5, 5.0, 30.0, 100.0)


class Worker:
    """One worker among others; it stops when the steps of the run are used up."""

    def __init__(self, places, endpoint, dice, steps, trace):
        self._places = places
        self._endpoint = endpoint
        self._clock = endpoint.clock
        self._dice = dice
        self._steps = steps
        self._trace = trace

    async def run(self):
        """Do one thing after the other."""
        for step in self._steps:
            place, verb = self._dice.pick(self._places), self._dice.pick(ACTIONS)
            self._trace(place.name, f"step {step}: {verb}")
            act = asyncio.ensure_future(getattr(self, f"_{verb}")(place))
            if self._dice.chance(0.1):
                await self._clock.sleep(self._dice.between(0, 3))
                act.cancel()
            await asyncio.wait({act})
            if not act.cancelled():
                act.result()
            await self._clock.sleep(self._dice.pick(PAUSES))

    async def _get(self, place):
        if place.closing:  # it would say so, and that is tested elsewhere
            return
        await place.callers.get(self._dice.pick(SCOPES), self._dice.pick(TIMEOUTS))

    async def _call(self, place):
        travel = self._dice.between(0, 2), self._dice.between(0, 2)
        place.context.api.delays.append(travel)
        await place.callers.call(self._dice.pick(SCOPES))

    async def _warm(self, place):
        await place.callers.warm(self._dice.pick(SCOPES))

    async def _forget(self, place):
        if not place.closing:
            await place.callers.forget(self._dice.pick(SCOPES))

    async def _reopen(self, place):
        # Shielded: a manager that is half closed is not what a worker leaves behind.
        await asyncio.shield(place.reopen())

    async def _offer(self, place):
        if not place.closing:
            hint, text = self._code()
            await place.callers.offer(text, hint, told=self._dice.chance(0.5))

    async def _exchange(self, place):
        if not place.closing:
            hint, text = self._code()
            await place.callers.exchange(text, hint)

    async def _deliver_twice(self, place):
        """Deliver one code to every manager of its organization, or twice to one."""
        hint, text = self._code()
        key = place.context.watch.api_key
        alike = [each for each in self._places if each.context.watch.api_key == key]
        if len(alike) > 1:
            place.context.watch.ledger.shared.add(text)
        await asyncio.gather(
            *(
                each.callers.exchange(text, hint)
                for each in (*alike, place)
                if not each.closing
            )
        )

    def _code(self):
        grants = self._dice.pick(SCOPES)
        known = self._dice.chance(0.8)
        return grants if known else None, self._endpoint.issue(grants)

    async def _invalidate(self, place):
        if place.callers.seen and not place.closing:
            await place.callers.invalidate(self._dice.pick(place.callers.seen))

    async def _revoke(self, place):
        values = tuple(self._endpoint.tokens)
        if values:
            self._endpoint.revoke(self._dice.pick(values))

    async def _stray(self, place):
        place.context.api.stray += 1
