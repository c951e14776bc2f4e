"""Real servers for the tests of stores."""

from tests.postgres_server import one_postgres, own_postgres, postgres_server
from tests.redis_server import one_redis, own_redis, redis_server


__all__ = [
    "one_postgres",
    "one_redis",
    "own_postgres",
    "own_redis",
    "postgres_server",
    "redis_server",
]
