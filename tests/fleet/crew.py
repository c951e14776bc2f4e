"""What a process of the fleet does: a client and a manager of its own, one store."""

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


#: A process that hangs is a failure, not a wait.
LONGEST = 60.0
#: A busy machine may need longer than that until a whole process is done.
SILENCE = 600.0


@attrs.frozen
class Place:
    """Where the service and the store are, and with which keys."""

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


def mark(token):
    """Return a hash that identifies a token without revealing it."""
    return hashlib.sha256(token.reveal().encode()).hexdigest()[:16]


class PollsTakeASecond:
    """A store whose readings move a clock forward, so that polling takes no real time.

    The clock stands still while an operation is under way: none of them is late.
    """

    def __init__(self, store, clock):
        self._store = store
        self._clock = clock
        self._under_way = 0
        self.open, self.keys, self.aclose = store.open, store.keys, store.aclose

    async def read(self, key):
        found = await self._counted(self._store.read(key))
        # By then the reader sleeps until its next reading.
        asyncio.get_running_loop().call_later(0.005, self._advance)
        return found

    def _advance(self):
        if not self._under_way:
            self._clock.advance(1.0)

    async def write(self, key, value, **options):
        return await self._counted(self._store.write(key, value, **options))

    async def _counted(self, operation):
        self._under_way += 1
        try:
            return await operation
        finally:
            self._under_way -= 1


class Member:
    """One process that requests and exchanges codes, and reports the results."""

    def __init__(self, place, number, told, told_to_begin):
        self.place = place
        self.number = number
        self.told = told
        self.told_to_begin = told_to_begin

    def run(self, job, *arguments):
        """Do a job in an event loop of this process."""
        self.told.send(("ready", os.getpid()))
        self.told_to_begin.wait(SILENCE)
        with moving_clock() if self.place.fast else nullcontext() as clock:
            asyncio.run(self._opened(job, arguments, clock))

    async def _opened(self, job, arguments, clock):
        place = self.place
        async with (
            place.client(place.source_key) as source,
            place.client(place.api_key) as client,
        ):
            store = place.new_store()
            if clock is not None:
                store = PollsTakeASecond(store, clock)

            async def codes(scope):
                return await source.oauth.authorize(
                    client_id=place.client_id, scope=scope
                )

            manager = ScopedTokenManager(
                client,
                codes=codes,
                store=store,
                on_store_failure="local",
                renewal=RenewalPolicy(attempt_timeout=place.attempt_timeout),
            )
            async with manager:
                await getattr(self, job)(manager, *arguments)

    async def each(self, manager, scopes):
        """Get the token of each scope, in an order of its own."""
        first = self.number * len(scopes) // 8
        order = [*scopes[first:], *scopes[:first]]
        limit = asyncio.Semaphore(20)

        async def one(scope):
            async with limit:
                return scope, mark(await manager.token(scope, timeout=LONGEST))

        got = await asyncio.gather(*(one(scope) for scope in order))
        self.told.send(("got", dict(got)))

    async def at_once(self, manager, scope, count):
        """Get one token in many tasks."""
        tokens = await asyncio.gather(
            *(manager.token(scope, timeout=LONGEST) for _ in range(count))
        )
        self.told.send(("got", {mark(token) for token in tokens}))

    async def exchange(self, manager, codes):
        """Exchange codes that others were given, too."""
        got = {}
        for code, scope in codes:
            await self._exchanged(manager, code, scope)
            got[scope] = mark(await manager.token(scope))
        self.told.send(("got", got))

    async def _exchanged(self, manager, code, scope):
        """Exchange a code, again for as long as its fate is not known."""
        for _ in range(5):
            try:
                return await manager.exchange(code, scope=scope)
            except ExchangeUnavailableError as error:
                await asyncio.sleep(error.retry_after or 0)  # noqa: TID251  # real time
        message = "the code stays in doubt"
        raise AssertionError(message)

    async def keep_on(self, manager, scopes):
        """Get one token after the other and tell of each as soon as it is there."""
        for scope in scopes:
            token = await manager.token(scope, timeout=LONGEST)
            self.told.send(("token", (scope, mark(token))))
        self.told.send(("got", None))


def work(place, number, told, begin, task):
    """Be a member."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Member(place, number, told, begin).run(*task)


class Crew:
    """Processes that do the same job at the same moment."""

    def __init__(self, place, count, job, *arguments):
        self._begin = FORKSERVER.Event()
        pipes = [FORKSERVER.Pipe(duplex=False) for _ in range(count)]
        self._ears = [ear for ear, _ in pipes]
        self._mouths = [mouth for _, mouth in pipes]
        self.processes = [
            FORKSERVER.Process(
                target=work,
                args=(place, number, mouth, self._begin, (job, *arguments)),
                daemon=True,
            )
            for number, mouth in enumerate(self._mouths)
        ]

    async def __aenter__(self):
        for process, mouth in zip(self.processes, self._mouths, strict=True):
            await asyncio.to_thread(process.start)
            mouth.close()  # the child has it; with its last copy the pipe ends
        for number in range(len(self.processes)):
            await self.hear("ready", number)
        self._begin.set()
        return self

    async def __aexit__(self, *_):
        for process in self.processes:
            process.kill()
            await asyncio.to_thread(process.join)
        for ear in self._ears:
            ear.close()

    async def hear(self, kind, number=0):
        """Return the next message of this kind from a process."""
        while True:
            what, value = await asyncio.to_thread(self._heard, number)
            if what == kind:
                return value

    async def rest(self, number=0):
        """Return all messages that a dead process sent."""
        told = []
        with suppress(EOFError, OSError):
            while True:
                told.append(await asyncio.to_thread(self._heard, number))
        return told

    def _heard(self, number):
        if not self._ears[number].poll(SILENCE):
            message = "a process says nothing more"
            raise AssertionError(message)
        return self._ears[number].recv()

    async def results(self):
        """Return what each process got."""
        return [await self.hear("got", each) for each in range(len(self.processes))]
