"""Kill processes at random: ``python -m tests.fleet.kills --kills N`` (F120 to F123).

Two processes at a time share a store and report each token that they get. They are killed
at random and replaced. No reported token may be lost, no code may be sent under two keys,
no store may be corrupted, and no process may hang. The stores share ``SOAK_MINUTES``; the
run stops early when they are used up.
"""

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
from pathlib import Path

from persona_share import Scope
from persona_share._transport.runtime import SystemClock, seeded_random
from persona_share.sandbox import Sandbox
from tests.fleet.workers import WorkerConfig, WorkerProcesses
from tests.postgres_server import BINARIES, PostgresServer
from tests.redis_server import BINARY, RedisServer


TOKEN = "POST /oauth/token"
#: Scopes for each process; one that is killed late has few left.
SCOPES = 12


class Kills:
    """One store, and the tokens that processes reported before they were killed."""

    def __init__(self, sandbox, store, random):
        self.sandbox = sandbox
        self.random = random
        self.reported = {}
        self.broken = []
        self.config = WorkerConfig(
            sandbox.url,
            sandbox.source.api_key,
            sandbox.destination.api_key,
            sandbox.destination.id,
            store,
        )

    async def run(self, kills, seconds):
        """Kill processes two at a time until the time is used up; return how many."""
        now = SystemClock().now
        end = now() + seconds
        for pair in range(kills // 2):
            if now() > end:
                return 2 * pair
            wanted = [
                str(Scope.read(self.sandbox.add_inquiry().id)) for _ in range(SCOPES)
            ]
            async with WorkerProcesses(
                self.config, 2, "stream_tokens", wanted
            ) as workers:
                for number, process in enumerate(workers.processes):
                    # Count tokens, not seconds, so a busy machine kills at the same point.
                    for _ in range(int(SCOPES / 2 * self.random())):
                        self.receive(*await workers.receive("token", number))
                    pause = 0.1 * self.random()
                    await asyncio.sleep(pause)  # noqa: TID251  # real processes
                    process.kill()
                    await asyncio.to_thread(process.join)
                    for kind, value in await workers.remaining_messages(number):
                        if kind == "token":
                            self.receive(*value)
        return 2 * (kills // 2)

    def receive(self, scope, token):
        """Record a token that a process got."""
        if self.reported.setdefault(scope, token) != token:
            self.broken.append("a scope has two tokens")

    async def check(self):
        """Check in one more process that each reported token is still there."""
        if not self.reported:
            self.broken.append("no process reported a token")
        issued = self.sandbox.log.tokens_issued
        async with WorkerProcesses(
            self.config, 1, "get_each", list(self.reported)
        ) as workers:
            [found] = await workers.results()
        lost = sum(found[scope] != token for scope, token in self.reported.items())
        if lost or self.sandbox.log.tokens_issued != issued:
            self.broken.append(f"{lost} tokens are lost")
        keys = {entry.idempotency_key for entry in self.sandbox.log.find(TOKEN)}
        if len(keys) > self.sandbox.log.codes_issued:
            self.broken.append("a code was sent under two keys")
        if self.sandbox.log.count(TOKEN, status=400):
            self.broken.append("a code was refused")
        if self.config.store.endswith(".db"):
            connection = sqlite3.connect(self.config.store)
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                self.broken.append("the file is corrupt")
            connection.close()


async def killed(kind, store, kills, seed, seconds=float("inf")):
    """Kill, check, and return the violations."""
    async with Sandbox(rate_limit=None) as sandbox:
        run = Kills(sandbox, store, seeded_random(seed))
        kills = await run.run(kills, seconds)
        await run.check()
        print(  # noqa: T201  # this is a program
            f"kills: store={kind} kills={kills} reported={len(run.reported)}"
            f" codes={sandbox.log.codes_issued} tokens={sandbox.log.tokens_issued}"
            f" broken={len(run.broken)}"
        )
        return run.broken


def main(arguments=None):
    """Run the kills on every store and return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", help="sqlite, redis or postgres; without it, all")
    given = parser.parse_args(arguments)
    server = RedisServer() if BINARY else None
    postgres = PostgresServer() if BINARIES else None
    broken = []
    try:
        with tempfile.TemporaryDirectory() as directory:
            urls = {"sqlite": str(Path(directory) / "tokens.db")}
            if server is None:
                print("kills: left out Redis; redis-server is not installed")  # noqa: T201  # as above
            else:
                urls["redis"] = server.url
            if postgres is not None:
                urls["postgres"] = postgres.url
            if given.store is not None:
                urls = {given.store: urls[given.store]}
            minutes = float(os.environ.get("SOAK_MINUTES", "inf"))
            seconds = 60 * minutes / len(urls)
            for kind, store in urls.items():
                work = killed(kind, store, given.kills, given.seed, seconds)
                broken += asyncio.run(work)
    finally:
        if server is not None:
            server.stop()
        if postgres is not None:
            postgres.stop()
            postgres.remove()
    for what in broken:
        print(f"broken: {what}")  # noqa: T201  # as above
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
