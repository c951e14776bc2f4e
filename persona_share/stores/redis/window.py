"""Shared: one rate limit window for all processes that share a Redis."""

from typing import Final

from persona_share._policy.election_script import CLOCK
from persona_share._protocol.limits import Seen
from persona_share.model.secret import Secret
from persona_share.ports import Share
from persona_share.stores.redis.asking import Asking


# The hash: e(nds), l(eft): calls that nobody has taken, h: until when one process finds
# out how the window stands. Whoever takes, takes a part only, that the others find some.
_BODY: Final = """
local WINDOW, PROOF, WANTED = KEYS[1], ARGV[1], tonumber(ARGV[2])
local PART, PROBE, LATER = 8, 1000, 1000
local e, l, h = unpack(redis.call('HMGET', WINDOW, 'e', 'l', 'h'))
e, l, h = tonumber(e or 0), tonumber(l or 0), tonumber(h or 0)

if ARGV[3] then -- what an answer said: its remaining calls, and when the window ends
  local remaining, ends = tonumber(ARGV[3]), now + tonumber(ARGV[4])
  if now >= e or ends > e + LATER then
    e, l, h = ends, remaining - 1, 0
  elseif ends >= e - LATER then -- else it is of an older window
    e, l = math.max(e, ends), math.min(l, remaining - 1)
  end
end

local taken, wait = 0, 0
if now < e then
  if l >= 1 and WANTED > 0 then
    taken = math.min(WANTED, math.max(1, math.floor(l / PART)))
    l = l - taken
  end
  wait = e - now
elseif now < h then
  wait = math.min(h - now, 50)
elseif WANTED > 0 then
  taken, h, wait = 1, now + PROBE, PROBE
end
redis.call('HSET', WINDOW, 'e', e, 'l', l, 'h', h)
redis.call('PEXPIRE', WINDOW, math.max(e - now, 0) + 60000)
return {PROOF, 0, 0, taken, wait}
"""


def script(clock: str = CLOCK) -> str:
    """Answer the whole script, with another clock for tests."""
    return clock + _BODY


class Shared(Asking):
    """Lets all processes of one environment spend one rate limit window together.

    Pass it to every client as ``rate_limit=Shared(url)``. What any process learns from the
    ``RateLimit-*`` headers counts for all; nothing but counts is stored. While Redis is
    away each process paces itself, by what it sees.

    Raises:
        StoreRefusedError: the URL cannot be used.
        ImportError: the extra ``redis`` is not installed.
    """

    def __init__(
        self,
        url: str | Secret,
        *,
        prefix: str = "ptm1",
        cluster: bool = False,
        allow_insecure: bool = False,
    ) -> None:
        super().__init__(
            url,
            script(),
            prefix=prefix,
            cluster=cluster,
            allow_insecure=allow_insecure,
        )

    async def take(self, name: str, wanted: int, seen: Seen | None) -> Share:
        """Take some of the window's calls, and tell what an answer said of it."""
        told = () if seen is None else (seen.remaining, int(1_000 * seen.reset))
        key = f"{self._prefix}:{{{name}}}:w"
        _, _, (taken, wait) = await self.ask("window", [key], wanted, *told)
        return Share(int(taken), int(wait) / 1_000)

    def __repr__(self) -> str:
        return f"<Shared {self._prefix}>"
