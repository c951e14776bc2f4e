"""Faults on demand: what goes wrong, with which operation, how often."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import attrs

from persona_share.sandbox.effects import Effect, Fault, fault_of, reply_of
from persona_share.sandbox.files import OPERATION as FILE
from persona_share.sandbox.world import Dice, dice


@attrs.define(eq=False)
class _Chance:
    rate: float
    kinds: tuple[str | int, ...]
    dice: Dice
    operation: str


@attrs.define(eq=False)
class Plan:
    """The faults of one request."""

    _faults: "Faults"
    _operation: str
    _drawn: Fault | None

    def take(self, effect: Effect) -> Fault | None:
        """Answer the fault of this effect that is due now, and use it up."""
        if self._drawn is not None and self._drawn.effect is effect:
            drawn, self._drawn = self._drawn, None
            return drawn
        return self._faults.take(self._operation, effect)


class Faults:
    """Plans faults by operation: ``"POST /oauth/token"``, or ``"*"`` for each one.

    An operation is a method and a documented path, with the names of its parameters;
    one that the sandbox does not serve raises ValueError.
    """

    def __init__(self, operations: Collection[str]) -> None:
        self._operations = operations
        self._planned: list[Fault] = []
        self._chance: _Chance | None = None
        self._release = asyncio.Event()

    def answer(
        self,
        operation: str,
        status: int,
        *,
        title: str | None = None,
        details: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: object = None,
        times: int | None = 1,
        stored: bool = False,
    ) -> None:
        """Answer with this status instead of acting.

        A ``body`` is sent as it is (bytes, text) or as JSON; without one the refusal
        has Persona's shape. A header of None is left out. ``stored=True`` passes
        through the idempotency layer and is kept there like a real outcome.
        """
        reply = reply_of(status, title, details, headers, body)
        effect = Effect.STORED_ANSWER if stored else Effect.ANSWER
        self._plan(Fault(effect, operation, times, reply=reply))

    def lose_answer(self, operation: str, times: int | None = 1) -> None:
        """Act and keep the outcome, then cut the connection without an answer."""
        self._plan(Fault(Effect.LOSE_ANSWER, operation, times))

    def cut(self, operation: str, times: int | None = 1) -> None:
        """Cut the connection before acting."""
        self._plan(Fault(Effect.CUT, operation, times))

    def delay(self, operation: str, seconds: float, times: int | None = 1) -> None:
        """Act this many real seconds late; a duplicate meets an unfinished request."""
        self._plan(Fault(Effect.DELAY, operation, times, seconds=seconds))

    def hang(
        self, operation: str, times: int | None = 1, *, acted: bool = False
    ) -> None:
        """Give no answer until `release` or the end; with ``acted``, act first."""
        effect = Effect.HANG_ACTED if acted else Effect.HANG
        self._plan(Fault(effect, operation, times))

    def truncate(self, operation: str, times: int | None = 1) -> None:
        """Act, then send half of the body that the headers announce."""
        self._plan(Fault(Effect.TRUNCATE, operation, times))

    def oversize(self, size: int, times: int | None = 1) -> None:
        """Let the file host send this many bytes, without saying so first."""
        self._plan(Fault(Effect.OVERSIZE, FILE, times, size=size))

    def redirect(self, location: str, times: int | None = 1) -> None:
        """Let the file host send the client elsewhere."""
        self.answer(FILE, 302, headers={"Location": location}, times=times)

    def fail_redemption(self, reason: str, times: int | None = 1) -> None:
        """Let a redemption that falls due fail, with this ``failure-reason``."""
        self._plan(Fault(Effect.FAIL_REDEMPTION, "*", times, reason=reason))

    def random(
        self,
        rate: float,
        seed: int,
        kinds: Sequence[str | int] = ("cut", "lose_answer", "truncate", 500, 503),
        *,
        operation: str = "*",
    ) -> None:
        """Let this share of the requests fail, in one of these ways.

        A number is a status that is answered; a word is ``cut``, ``lose_answer``,
        ``truncate``, ``hang`` or ``stored_500``.
        """
        self._check(operation)
        for kind in kinds:
            fault_of(kind)
        self._chance = _Chance(rate, tuple(kinds), dice(seed), operation)

    def clear(self) -> None:
        """Forget every planned fault; what hangs goes on hanging."""
        self._planned.clear()
        self._chance = None

    def release(self) -> None:
        """Let every hanging request go on."""
        self._release.set()
        self._release = asyncio.Event()

    @property
    def pending(self) -> int:
        """Answer how many plans are not used up yet."""
        return len(self._planned)

    async def hold(self) -> None:
        """Wait for the next release."""
        await self._release.wait()

    def begin(self, operation: str) -> Plan:
        """Answer the plan of one request."""
        chance, drawn = self._chance, None
        if (
            chance is not None
            and chance.operation in ("*", operation)
            and chance.dice.random() < chance.rate
        ):
            drawn = fault_of(chance.dice.choice(chance.kinds))
        return Plan(self, operation, drawn)

    def take(self, operation: str, effect: Effect) -> Fault | None:
        """Answer the first planned fault that fits, and use it up."""
        for place, fault in enumerate(self._planned):
            if fault.effect is effect and fault.operation in ("*", operation):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        del self._planned[place]
                return fault
        return None

    def _plan(self, fault: Fault) -> None:
        self._check(fault.operation)
        self._planned.append(fault)

    def _check(self, operation: str) -> None:
        """Refuse what would never happen: a fault of no operation is a slip."""
        if operation not in {"*", FILE} and operation not in self._operations:
            message = f"the sandbox serves no operation {operation!r}"
            raise ValueError(message)
