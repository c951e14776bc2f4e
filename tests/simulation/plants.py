"""Mistakes to plant: each of them must be found, or the simulation proves nothing."""

import asyncio
import json
import logging

import attrs

from persona_share.model.secret import Secret
from persona_share.testing.clock import FakeClock


class FreshKeys:
    """Sends each attempt under a key of its own, as nearly every client does."""

    def __init__(self, inner):
        self._inner = inner
        self._count = 0

    async def send(self, request):
        """Send with another key each time."""
        self._count += 1
        key = Secret(f"attempt-{self._count}")
        return await self._inner.send(attrs.evolve(request, idempotency_key=key))


class Twice:
    """Sends everything twice at once, for safety's sake."""

    def __init__(self, inner):
        self._inner = inner

    async def send(self, request):
        """Send twice and take the first answer's word."""
        both = (self._inner.send(request), self._inner.send(request))
        first, _ = await asyncio.gather(*both)
        return first


class Stretched:
    """Believes that a token lives two minutes longer than is said."""

    def __init__(self, inner):
        self._inner = inner

    async def send(self, request):
        """Send, and stretch the lifetime that comes back."""
        response = await self._inner.send(request)
        if response.status != 201 or not response.body.endswith(b"}"):
            return response
        answer = json.loads(response.body)
        answer["expires-in"] += 120
        return attrs.evolve(response, body=json.dumps(answer).encode())


class Sleepy:
    """A clock that stops while the machine sleeps, as a monotonic one may."""

    def __init__(self, clock: FakeClock):
        self._clock = clock
        self.wall, self.sleep = clock.wall, clock.sleep

    def now(self):
        """Answer the time that was awake."""
        return 1000.0 + self._clock._timer


class Indiscreet:
    """Writes down what it sends."""

    def __init__(self, inner):
        self._inner = inner

    async def send(self, request):
        """Send, and tell the log."""
        logging.getLogger("persona_share").warning("sent %s", request.body)
        return await self._inner.send(request)


class Clinging:
    """Takes long, and does not let go when it is told to."""

    def __init__(self, inner, clock):
        self._inner = inner
        self._clock = clock

    async def send(self, request):
        """Send, and let a cancellation wait."""
        try:
            await self._clock.sleep(30.0)
            return await self._inner.send(request)
        except asyncio.CancelledError:
            await self._clock.sleep(2.0)
            raise


def fresh_keys(context):
    """Plant a new key for every attempt (2)."""
    context.exchanger = FreshKeys(context.exchanger)


def twice(context):
    """Plant requests that go out twice (1)."""
    context.exchanger = Twice(context.exchanger)


def stretched(context):
    """Plant an end that is too late (14)."""
    context.exchanger = Stretched(context.exchanger)


def sleepy(context):
    """Plant a clock that does not count suspension (8)."""
    context.runtime = attrs.evolve(context.runtime, clock=Sleepy(context.runtime.clock))


def indiscreet(context):
    """Plant a line in the log that holds a code (22)."""
    context.exchanger = Indiscreet(context.exchanger)


def clinging(context):
    """Plant an exchange that outlives the grace of a closing (26)."""
    context.exchanger = Clinging(context.exchanger, context.runtime.clock)
