"""Stores on real servers whose time a test can move."""

from persona_share.stores.postgres import PostgresStore
from persona_share.stores.redis import RedisStore


_AHEAD = "test:ahead"


class MovableRedisStore(RedisStore):
    """A RedisStore whose script adds a number of seconds to the server's time."""

    _script = RedisStore._script.replace(
        "local time,",
        f"""
        local ahead = redis.call('GET', '{_AHEAD}') or 0
        local function at(time)
          return {{string.format('%d', time[1] + ahead), time[2]}} end
        local time,""",
    ).replace("redis.call('TIME')", "at(redis.call('TIME'))")


def move_redis(server, seconds):
    """Move the time of a Redis: its clock, and the end of each record."""
    server.client.incrbyfloat(_AHEAD, seconds)
    for key in server.client.keys("persona_share:*"):
        left = server.client.pttl(key)
        if left > seconds * 1_000:
            server.client.pexpire(key, int(left - seconds * 1_000))
        elif left >= 0:
            server.client.delete(key)


# PostgreSQL finds this function before its own, as the search path of a store says.
_CLOCK = """
CREATE SCHEMA moved;
CREATE TABLE moved.ahead (seconds float8);
INSERT INTO moved.ahead VALUES (0);
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  'SELECT pg_catalog.clock_timestamp()
     + (SELECT seconds FROM moved.ahead) * interval ''1 second''';
"""


def prepare_postgres(server):
    """Give an empty server a clock that can be moved."""
    server.sql("DROP SCHEMA IF EXISTS moved CASCADE;" + _CLOCK)


def movable_postgres_store(server, **options):
    """Return a store that goes by the movable clock."""
    path = "?options=-csearch_path%3Dpublic,moved,pg_catalog"
    return PostgresStore(server.url + path, create=True, **options)


def move_postgres(server, seconds):
    """Move the clock of a PostgreSQL, as far as stores see it."""
    server.sql(f"UPDATE moved.ahead SET seconds = seconds + {seconds}")  # noqa: S608
