"""Budget: a token bucket that keeps retries from hammering a dead service."""

from persona_share.model.policy import RetryPolicy


class Budget:
    """Tokens that retries cost and successes give back, never more than at first.

    One bucket belongs to one client and one credential. First attempts are free.
    """

    __slots__ = ("_most", "level")

    def __init__(self, policy: RetryPolicy) -> None:
        self.level = self._most = policy.budget

    def spend(self, cost: int) -> bool:
        """Take the cost of one retry, or return False if too little is left."""
        if cost > self.level:
            return False
        self.level -= cost
        return True

    def succeeded(self, last_cost: int = 1) -> None:
        """Give back the cost of the last retry, or 1 for a success without one."""
        self.level = min(self._most, self.level + last_cost)
