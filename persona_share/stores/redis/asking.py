"""One script on a Redis, and what everybody who runs one needs: checks and limits."""

import asyncio
import itertools
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from persona_share._policy.circuit import Circuit
from persona_share.errors import StoreRefusedError, StoreUnavailableError
from persona_share.model.secret import Secret
from persona_share.ports import Runtime
from persona_share.stores.redis.address import RedisAddress


if TYPE_CHECKING:
    from persona_share.stores.redis.line import Line

_LOG: Final = logging.getLogger("persona_share")
#: Connections that a child inherited through a fork: neither used nor closed there.
_INHERITED: Final[list[object]] = []

_Lines = WeakKeyDictionary[asyncio.AbstractEventLoop, "Line"]


class Asking:
    """Runs one script, with a connection for each event loop and a circuit breaker.

    Raises:
        StoreRefusedError: the URL cannot be used.
        ImportError: the extra ``redis`` is not installed.
    """

    def __init__(
        self,
        url: str | Secret,
        script: str,
        *,
        prefix: str,
        cluster: bool,
        allow_insecure: bool,
    ) -> None:
        try:
            from persona_share.stores.redis import line  # noqa: PLC0415 - the extra
        except ModuleNotFoundError:
            message = "Redis needs redis-py: install persona-share[redis]"
            raise ImportError(message) from None
        self._make_line = line.Line
        self._address = RedisAddress.of(url)
        self._script = script
        self._prefix = prefix
        self._cluster = cluster
        self._allow_insecure = allow_insecure
        self._circuit = Circuit()
        self._count = itertools.count(1)
        self._runtime: Runtime | None = None
        self._lines: _Lines = WeakKeyDictionary()
        self._process = os.getpid()

    async def open(self, runtime: Runtime) -> None:
        """Check that nobody can listen.

        Raises:
            StoreRefusedError: others could read along.
            StoreUnavailableError: the server does not answer; it may later.
        """
        if not self._address.private:
            if not self._allow_insecure:
                message = "others could read what is said to this Redis"
                raise StoreRefusedError(message, advice="Use a rediss:// URL.")
            _LOG.warning("the connection to Redis is not encrypted")
        self._runtime = self._runtime or runtime

    async def close(self) -> None:
        """Drop the connections of this event loop; using it again makes new ones."""
        if self._process == os.getpid():
            line = self._lines.pop(asyncio.get_running_loop(), None)
            if line is not None:
                await line.close()

    async def ask(
        self, what: str, keys: list[str], *arguments: Any
    ) -> tuple[Any, Any, Sequence[Any]]:
        """Run the script and answer what it answers, but for the proof.

        Raises:
            StoreUnavailableError: there is no answer, or another question's.
        """
        runtime, line = self._opened(), self._line()
        proof = f"{next(self._count)}:{what}"
        answer = await line.evaluate(self._require_hope, keys, [proof, *arguments])
        match answer:
            case [found, number, foreign, *reply] if found == proof.encode():
                self._circuit.succeeded()
                return number, foreign, reply
            case list():
                # Somebody else's answer: nothing on these connections is to be believed.
                await line.drop()
                raise not_understood()
            case outage:
                now = runtime.clock.now()
                self._circuit.failed(now, runtime.random(), at_once=outage.at_once)
                raise StoreUnavailableError(outage.what)

    def _require_hope(self) -> None:
        seconds = self._circuit.closed_for(self._opened().clock.now())
        if seconds > 0:
            message = "Redis failed a moment ago"
            raise StoreUnavailableError(message, retry_after=seconds)

    def _line(self) -> "Line":
        if self._process != os.getpid():
            _INHERITED.append(self._lines)
            self._lines, self._process = WeakKeyDictionary(), os.getpid()
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = self._make_line(
                self._address.url,
                self._script,
                f"{self._prefix}:e",
                self._opened(),
                cluster=self._cluster,
            )
        return line

    def _opened(self) -> Runtime:
        if self._runtime is None:
            message = "the store was not opened; a manager does that"
            raise RuntimeError(message)
        return self._runtime


def not_understood() -> StoreUnavailableError:
    """Answer the error for an answer that is none."""
    return StoreUnavailableError("Redis gave an answer to another question")
