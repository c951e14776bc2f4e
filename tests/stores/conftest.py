"""What the tests of stores get: a real Redis."""

from tests.redis_server import one_redis, own_redis, redis_server


__all__ = ["one_redis", "own_redis", "redis_server"]
