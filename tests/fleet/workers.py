"""Worker processes: each has a client and a manager of its own, and all share a store."""

import asyncio
import hashlib
import os
import signal
from contextlib import nullcontext, suppress

import attrs

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.errors import ExchangeUnavailableError
from persona_share.model.policy import RateLimitPolicy, RenewalPolicy, RetryPolicy
from persona_share.stores import PostgresStore, RedisStore, SQLiteStore
from persona_share.testing.clock import moving_clock
from tests.processes import FORKSERVER


#: Seconds until a token request counts as hanging.
TIMEOUT = 60.0
#: Seconds to wait for a message; a busy machine may need that long.
MESSAGE_TIMEOUT = 600.0


@attrs.frozen
class WorkerConfig:
    """The addresses and keys that a worker needs."""

    url: str
    source_key: str
    api_key: str
    client_id: str
    store: str | None = None
    attempt_timeout: float = 10.0
    probe_patience: float = 1.0
    #: Whether waiting for another process takes no real time.
    fast: bool = False

    def client(self, key, **options):
        """Return a client of one of the organizations."""
        return PersonaClient(
            key,
            base_url=self.url,
            insecure_local=True,
            retry=RetryPolicy(attempts=5),
            rate_limit=RateLimitPolicy(probe_patience=self.probe_patience),
            **options,
        )

    def new_store(self):
        """Return the store, or None."""
        if self.store is None:
            return None
        if self.store.startswith("redis://"):
            return RedisStore(self.store, plaintext=True)
        if self.store.startswith("postgres"):
            return PostgresStore(self.store, plaintext=True, create=True)
        return SQLiteStore(self.store)


def token_hash(token):
    """Return a hash that identifies a token without revealing it."""
    return hashlib.sha256(token.reveal().encode()).hexdigest()[:16]


class AutoAdvancingStore:
    """A store whose reads advance a clock, so that polling takes no real time.

    The clock does not move while an operation is in progress, so none is late.
    """

    def __init__(self, store, clock):
        self._store = store
        self._clock = clock
        self._in_progress = 0
        self.open, self.keys, self.aclose = store.open, store.keys, store.aclose

    async def read(self, key):
        found = await self._counted(self._store.read(key))
        # By then the caller sleeps until its next read.
        asyncio.get_running_loop().call_later(0.005, self._advance)
        return found

    def _advance(self):
        if not self._in_progress:
            self._clock.advance(1.0)

    async def write(self, key, value, **options):
        return await self._counted(self._store.write(key, value, **options))

    async def _counted(self, operation):
        self._in_progress += 1
        try:
            return await operation
        finally:
            self._in_progress -= 1


class Worker:
    """One process that requests and exchanges codes, and reports the results."""

    def __init__(self, config, number, pipe, start_event):
        self.config = config
        self.number = number
        self.pipe = pipe
        self.start_event = start_event

    def run(self, job, *arguments):
        """Run a job in an event loop of this process."""
        self.pipe.send(("ready", os.getpid()))
        self.start_event.wait(MESSAGE_TIMEOUT)
        with moving_clock() if self.config.fast else nullcontext() as clock:
            asyncio.run(self._opened(job, arguments, clock))

    async def _opened(self, job, arguments, clock):
        config = self.config
        async with (
            config.client(config.source_key) as source,
            config.client(config.api_key) as client,
        ):
            store = config.new_store()
            if clock is not None:
                store = AutoAdvancingStore(store, clock)

            async def codes(scope):
                return await source.oauth.authorize(
                    client_id=config.client_id, scope=scope
                )

            manager = ScopedTokenManager(
                client,
                codes=codes,
                store=store,
                on_store_failure="local",
                renewal=RenewalPolicy(attempt_timeout=config.attempt_timeout),
            )
            async with manager:
                await getattr(self, job)(manager, *arguments)

    async def get_each(self, manager, scopes):
        """Get the token of each scope, in an order that depends on the number."""
        first = self.number * len(scopes) // 8
        order = [*scopes[first:], *scopes[:first]]
        limit = asyncio.Semaphore(20)

        async def one(scope):
            async with limit:
                return scope, token_hash(await manager.token(scope, timeout=TIMEOUT))

        got = await asyncio.gather(*(one(scope) for scope in order))
        self.pipe.send(("got", dict(got)))

    async def get_concurrently(self, manager, scope, count):
        """Get one token in many tasks."""
        tokens = await asyncio.gather(
            *(manager.token(scope, timeout=TIMEOUT) for _ in range(count))
        )
        self.pipe.send(("got", {token_hash(token) for token in tokens}))

    async def exchange(self, manager, codes):
        """Exchange codes that other workers also have."""
        got = {}
        for code, scope in codes:
            await self._exchanged(manager, code, scope)
            got[scope] = token_hash(await manager.token(scope))
        self.pipe.send(("got", got))

    async def _exchanged(self, manager, code, scope):
        """Exchange a code; repeat while the outcome is unknown."""
        for _ in range(5):
            try:
                return await manager.exchange(code, scope=scope)
            except ExchangeUnavailableError as error:
                await asyncio.sleep(error.retry_after or 0)  # noqa: TID251  # real time
        message = "the outcome of the exchange stays unknown"
        raise AssertionError(message)

    async def stream_tokens(self, manager, scopes):
        """Get one token after the other and report each at once."""
        for scope in scopes:
            token = await manager.token(scope, timeout=TIMEOUT)
            self.pipe.send(("token", (scope, token_hash(token))))
        self.pipe.send(("got", None))


def run_worker(config, number, pipe, start_event, task):
    """Run a worker in this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Worker(config, number, pipe, start_event).run(*task)


class WorkerProcesses:
    """Processes that start the same job at the same time."""

    def __init__(self, config, count, job, *arguments):
        self._start_event = FORKSERVER.Event()
        pipes = [FORKSERVER.Pipe(duplex=False) for _ in range(count)]
        self._receivers = [receiver for receiver, _ in pipes]
        self._senders = [sender for _, sender in pipes]
        self.processes = [
            FORKSERVER.Process(
                target=run_worker,
                args=(config, number, sender, self._start_event, (job, *arguments)),
                daemon=True,
            )
            for number, sender in enumerate(self._senders)
        ]

    async def __aenter__(self):
        for process, sender in zip(self.processes, self._senders, strict=True):
            await asyncio.to_thread(process.start)
            sender.close()  # the child has it; with its last copy the pipe ends
        for number in range(len(self.processes)):
            await self.receive("ready", number)
        self._start_event.set()
        return self

    async def __aexit__(self, *_):
        for process in self.processes:
            process.kill()
            await asyncio.to_thread(process.join)
        for receiver in self._receivers:
            receiver.close()

    async def receive(self, kind, number=0):
        """Return the next message of this kind from a process."""
        while True:
            what, value = await asyncio.to_thread(self._receive, number)
            if what == kind:
                return value

    async def remaining_messages(self, number=0):
        """Return all messages that a dead process sent."""
        messages = []
        with suppress(EOFError, OSError):
            while True:
                messages.append(await asyncio.to_thread(self._receive, number))
        return messages

    def _receive(self, number):
        if not self._receivers[number].poll(MESSAGE_TIMEOUT):
            message = "a process sent no message in time"
            raise AssertionError(message)
        return self._receivers[number].recv()

    async def results(self):
        """Return the result of each process."""
        return [await self.receive("got", each) for each in range(len(self.processes))]
