"""RedisStore: records in Redis or Valkey, for processes on several machines."""

import itertools
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from redis import asyncio as aioredis, exceptions
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from persona_share._protocol.urls import is_loopback
from persona_share.errors import (
    ConfigurationError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.model.secret import Secret, as_secret
from persona_share.ports import Runtime, Versioned
from persona_share.stores.base import (
    BaseStore,
    PerLoop,
    cannot_connect,
    pack,
    unpack,
)


_LOG: Final = logging.getLogger("persona_share")
#: Reads, or writes if the etag is still ARGV[3]. A value begins with its etag. Its new
#: one, ARGV[4], is there when a write is repeated because its response was lost.
_SCRIPT: Final = """
local time, held = redis.call('TIME'), redis.call('GET', KEYS[1])
if ARGV[2] == 'read' then return {ARGV[1], time[1], time[2], held} end
local etag = held and string.sub(held, 1, 32) or ''
if etag ~= ARGV[3] and etag ~= ARGV[4] then
  return {ARGV[1], time[1], time[2], 'changed'} end
if ARGV[5] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6]) end
return {ARGV[1], time[1], time[2], 'written'}
"""
_ETAG: Final = 32
#: Connecting and responding may each last 0.9 s; after that a fresh connection is
#: tried, as a firewall may have dropped the old one silently.
_CONNECTION: Final[dict[str, Any]] = {
    "socket_timeout": 0.9,
    "socket_connect_timeout": 0.9,
    "socket_keepalive": True,
    "retry": Retry(NoBackoff(), 0),
    "protocol": 2,  # no greeting: one round trip less at each connection
    "driver_info": None,  # nor an introduction
}
_PAGE: Final = 1_000
#: The longest lifetime of a record, in seconds.
_FOREVER: Final = 100 * 365 * 86_400
#: The allowed query parameters of the URL. Time limits, retries and the checks of
#: certificates are set here.
_URL_OPTIONS: Final = frozenset(
    {"db", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"}
)


class _UnexpectedResponseError(exceptions.InvalidResponse):
    """The response is not one of the script's."""


_MESSAGES: Final = {
    exceptions.TimeoutError: "Redis did not respond in time",
    _UnexpectedResponseError: "Redis sent an unexpected response",
    exceptions.ReadOnlyError: "this Redis is a replica and read-only",
    exceptions.OutOfMemoryError: "the memory of Redis is full (OutOfMemoryError)",
    exceptions.BusyLoadingError: "Redis is still loading its records",
    exceptions.MovedError: "this Redis is part of a cluster: say cluster=True",
}


#: Error codes that an operator can act on; the other text may hold what was sent.
_CODES: Final = ("MISCONF", "NOREPLICAS", "WRONGTYPE", "BUSY")


class RedisStore(BaseStore):
    """Shares records between processes on several machines.

    ``url`` begins with ``rediss://``, ``redis://`` or ``unix://``. For a cluster say
    ``cluster=True``. For Sentinel name the service in ``sentinel``; the hosts of the URL
    are then those of the sentinels, separated by commas. ``plaintext=True`` allows to
    keep tokens without `Encrypted`, ``allow_insecure=True`` a ``redis://`` URL to
    another machine, a cluster or a sentinel.

    Raises:
        ConfigurationError: the URL cannot be used.
        StoreRefusedError: others could read what is sent.
    """

    _script = _SCRIPT
    _broken: tuple[type[Exception], ...] = (
        exceptions.ConnectionError,
        exceptions.TimeoutError,
        exceptions.ReadOnlyError,
        exceptions.InvalidResponse,
        OSError,
    )
    _refusals: tuple[type[Exception], ...] = (
        exceptions.AuthenticationError,
        exceptions.AuthorizationError,
        exceptions.NoPermissionError,
    )

    def __init__(
        self,
        url: str | Secret,
        *,
        prefix: str = "persona_share",
        cluster: bool = False,
        sentinel: str | None = None,
        sentinel_password: str | Secret | None = None,
        plaintext: bool = False,
        allow_insecure: bool = False,
        runtime: Runtime | None = None,
    ) -> None:
        # The names, too, so that no frame of an error report shows a password.
        url = self._url = as_secret(url)
        if sentinel_password is not None:
            sentinel_password = as_secret(sentinel_password)
        self._sentinel_password = sentinel_password
        super().__init__(runtime)
        self._prefix = prefix
        self._cluster = cluster
        self._sentinel = sentinel
        if cluster and sentinel:
            message = "a Redis is either in a cluster or behind sentinels"
            raise ConfigurationError(message)
        scheme, self._hosts, options = _parts(url)
        if scheme not in {"redis", "rediss", "unix"}:
            message = "the URL of Redis must begin with rediss://, redis:// or unix://"
            raise ConfigurationError(message)
        if options - _URL_OPTIONS:
            message = f"the URL of Redis may have no option but {sorted(_URL_OPTIONS)}"
            raise ConfigurationError(message)
        if len(self._hosts) > 1 and not sentinel:
            message = "several hosts in the URL of Redis need sentinel='service name'"
            raise ConfigurationError(message)
        # A sentinel and a cluster name other hosts.
        is_local = all(not host or is_loopback(host) for host, _ in self._hosts)
        if scheme == "redis" and (cluster or sentinel or not is_local):
            if not allow_insecure:
                message = "others could read the traffic to this Redis server"
                advice = "Use a rediss:// URL, or pass allow_insecure=True."
                raise StoreRefusedError(message, advice=advice)
            _LOG.warning("the connection to Redis is not encrypted")
        self.accepts_secrets = plaintext
        self._count = itertools.count(1)
        self._clients = PerLoop(self._new_client)

    async def _open(self) -> None:
        await self._read("open/check")
        if await self.evicts():
            _LOG.warning("this Redis evicts records when it is full")
        client = self._clients.get()
        with suppress(exceptions.RedisError, OSError, AttributeError):
            _, found = await client.scan(0, match="ptm1:*", count=_PAGE)
            if found:
                _LOG.warning("this Redis has records of persona_share 0.1: ignored")

    async def _read(self, key: str) -> Versioned:
        now, held = await self._with_retry(self._evaluate, key, "read")
        if held is None:
            return Versioned(None, "", now)
        etag = held[:_ETAG].decode("ascii", "replace")
        return Versioned(unpack(held[_ETAG:], key, etag), etag, now)

    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        new = b"" if value is None else etag.encode() + pack(value, key, etag)
        lifetime = math.ceil(min(ttl, _FOREVER) * 1_000)
        arguments = "write", if_etag, etag, new, lifetime
        _, result = await self._with_retry(self._evaluate, key, *arguments)
        return result == b"written"

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        start = f"{self._prefix}:"
        pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", start + prefix) + "*"
        await self._read("open/check")  # the scan is not repeated on a new connection
        seen: set[bytes] = set()  # it may return a key twice
        page: list[str] = []
        async for key in self._clients.get().scan_iter(pattern, count=_PAGE):
            if key not in seen:
                seen.add(key)
                page.append(key.decode("ascii", "replace")[len(start) :])
            if len(page) >= _PAGE:
                yield page
                page = []
        yield page

    def _detach(self) -> Callable[[], Awaitable[None]]:
        client = self._clients.pop()

        async def close() -> None:
            pool = getattr(client, "connection_pool", None)
            manager = getattr(pool, "sentinel_manager", None)
            for each in (client, *getattr(manager, "sentinels", ())):
                await each.aclose()

        return self._aclose if client is None else close

    async def _evaluate(self, key: str, *arguments: Any) -> tuple[float, bytes | None]:
        """Run the script; return the store's time and the result."""
        script = self._clients.get().register_script(self._script)
        proof = f"{next(self._count)}:{key}".encode()
        response = await script(
            keys=[f"{self._prefix}:{key}"], args=[proof, *arguments]
        )
        match response:
            case [bytes(found), bytes(seconds), bytes(micros), result] if (
                found == proof and isinstance(result, bytes | None)
            ):
                return int(seconds) + int(micros) / 1e6, result
        # The response to another command: nothing on this connection is right.
        raise _UnexpectedResponseError

    def _error(self, error: BaseException) -> StoreError:
        if isinstance(error, self._refusals):
            name = type(error).__name__
            message = f"Redis refused the user or the password ({name})"
            advice = "Check the URL and the permissions of the user."
            return StoreRefusedError(message, advice=advice)
        for kind, message in _MESSAGES.items():
            if isinstance(error, kind):
                return StoreUnavailableError(message)
        if isinstance(error, exceptions.ConnectionError | OSError):
            return cannot_connect("Redis")
        if code := next(filter(str(error).startswith, _CODES), None):
            return StoreUnavailableError(f"Redis refused the command ({code})")
        return super()._error(error)

    async def _drop_connections(self) -> None:
        client = self._clients.get()
        with suppress(exceptions.RedisError, OSError):
            if isinstance(client, RedisCluster):
                await client.aclose()
            else:
                # Not those in use: they may be the fresh ones of another operation.
                await client.connection_pool.disconnect(inuse_connections=False)

    def _new_client(self) -> Any:
        if self._sentinel:
            return self._behind_sentinels()
        make: Any = RedisCluster if self._cluster else aioredis.Redis
        return make.from_url(self._url.reveal(), **_CONNECTION)

    def _behind_sentinels(self) -> Any:
        parts = urlsplit(self._url.reveal())
        user, at, _ = parts.netloc.rpartition("@")
        one_host = parts._replace(netloc=f"{user}{at}sentinel").geturl()
        options: dict[str, Any] = {**parse_url(one_host)}
        shared = _CONNECTION | {
            name: value for name, value in options.items() if name.startswith("ssl_")
        }
        if parts.scheme == "rediss":
            shared["ssl"] = True
        secret = self._sentinel_password
        password = None if secret is None else secret.reveal()
        login = {name: options.get(name) for name in ("username", "password")}
        make: Any = Sentinel  # it has no types
        sentinels = make(
            self._hosts, sentinel_kwargs={**shared, "password": password}, **shared
        )
        return sentinels.master_for(self._sentinel, db=options.get("db", 0), **login)

    async def evicts(self) -> bool:
        """Return whether this Redis drops records when its memory is full.

        False also if the user may not ask; then a warning cannot be given either.
        """
        client = self._clients.get()
        with suppress(exceptions.RedisError, OSError, AttributeError):
            policy = (await client.info("memory")).get("maxmemory_policy")
            return policy not in {None, "noeviction"}
        return False

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix}>"


def _parts(url: Secret) -> tuple[str, list[tuple[str, int]], set[str]]:
    """Return the scheme, the hosts and the names of the options of a URL."""
    try:
        parts = urlsplit(url.reveal())
        hosts = parts.netloc.rpartition("@")[2].split(",")
        found = [urlsplit(f"//{host}") for host in hosts]
        places = [(each.hostname or "", each.port or 26_379) for each in found]
        return parts.scheme, places, {name for name, _ in parse_qsl(parts.query)}
    except ValueError:
        return "", [], set()
