"""A service and a partner that are moody: what befalls each request is diced for."""

from persona_share._transport.runtime import seeded_random
from tests._tokens.endpoint import Endpoint, Fault, Plan
from tests._tokens.roads import Partner


FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)
ANSWERS = ("raise", "nothing", "used", "wide", "narrow", "unknown", "ended")


class Dice:
    """Every decision of a run comes from one seed."""

    def __init__(self, seed):
        self._random = seeded_random(seed)

    def chance(self, share):
        """Answer yes in so many of all cases."""
        return self._random() < share

    def between(self, least, most):
        """Answer a number between two others."""
        return least + (most - least) * self._random()

    def pick(self, choices):
        """Answer one of some things."""
        return choices[int(self._random() * len(choices))]


class MoodyEndpoint(Endpoint):
    """A service with good and bad times, in which one fault befalls most requests."""

    def __init__(self, clock, dice, **facts):
        super().__init__(clock, **facts)
        self._dice = dice
        self._until = clock.now()
        self._share = 0.0
        self._usual = Fault.NONE

    def next_plan(self):
        """Answer what befalls the next request."""
        dice, now = self._dice, self.clock.now()
        if now >= self._until:
            self._until = now + dice.between(5, 600)
            self._share = dice.pick((0.0, 0.0, 0.1, 0.3, 0.9))
            self._usual = dice.pick(FAULTS)
        fault = Fault.NONE
        if dice.chance(self._share):
            fault = self._usual if dice.chance(0.7) else dice.pick(FAULTS)
        before, after = dice.between(0, 0.5), dice.between(0, 0.5)
        if dice.chance(0.05):
            before, after = dice.between(0, 15), dice.between(0, 15)
        return Plan(fault, before, after, dice.pick((1, 5, 30, 400)))


class MoodyPartner(Partner):
    """A partner that is mostly quick and right."""

    def __init__(self, endpoint, watch, dice):
        super().__init__(endpoint, watch)
        self._dice = dice

    def next_plan(self):
        """Answer what to do about the next question, and after how long."""
        dice = self._dice
        kind = dice.pick(ANSWERS) if dice.chance(0.15) else "code"
        slow = dice.chance(0.05)
        return kind, dice.between(0, 90) if slow else dice.between(0, 1)
