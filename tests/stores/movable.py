"""A Redis whose time a test can move, as far as the script sees it."""

from persona_share._policy.election_script import script
from persona_share.stores import RedisStore


AHEAD = "test:ahead"
CLOCK = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
            + tonumber(redis.call('GET', '{AHEAD}') or 0)
"""


def movable_store(server, **options):
    """Answer a store on this server whose script reads the moved clock."""
    store = RedisStore(server.url, **options)
    store._script = script(CLOCK)
    return store


def move(server, seconds):
    """Move the server's clock, as far as the script sees it."""
    server.client.incrby(AHEAD, int(seconds * 1_000))
