"""Kills without warning: ``python -m tests.fleet.kills --kills N`` (F120 to F123).

Two processes at a time share a store and tell of each token that they hold; at some
instant one is killed and another takes its place. Nothing that was told may be lost, no
code may be sent under two keys, no store may break, and nobody may hang. The stores share
``SOAK_MINUTES``: the killing ends early when they are used up.
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
from tests.fleet.crew import Crew, Place
from tests.postgres_server import BINARIES, PostgresServer
from tests.redis_server import BINARY, RedisServer


TOKEN = "POST /oauth/token"
#: Scopes of one life; a process that is killed late has few new ones left.
SCOPES = 12


class Kills:
    """One store, and what the processes told of it before they died."""

    def __init__(self, box, store, random):
        self.box = box
        self.random = random
        self.told = {}
        self.broken = []
        self.place = Place(
            box.url,
            box.source.api_key,
            box.destination.api_key,
            box.destination.id,
            store,
        )

    async def run(self, kills, seconds):
        """Kill so many, two at a time, until the time is used up; return how many."""
        now = SystemClock().now
        end = now() + seconds
        for pair in range(kills // 2):
            if now() > end:
                return 2 * pair
            wanted = [str(Scope.read(self.box.add_inquiry().id)) for _ in range(SCOPES)]
            async with Crew(self.place, 2, "keep_on", wanted) as crew:
                for number, process in enumerate(crew.processes):
                    # Progress, not time, so that a busy machine kills as late.
                    for _ in range(int(SCOPES / 2 * self.random())):
                        self.hear(*await crew.hear("token", number))
                    pause = 0.1 * self.random()
                    await asyncio.sleep(pause)  # noqa: TID251  # real processes
                    process.kill()
                    await asyncio.to_thread(process.join)
                    for kind, value in await crew.rest(number):
                        if kind == "token":
                            self.hear(*value)
        return 2 * (kills // 2)

    def hear(self, scope, token):
        """Take note of a token that somebody holds."""
        if self.told.setdefault(scope, token) != token:
            self.broken.append("a scope has two tokens")

    async def check(self):
        """Look for everything that was told, in one more process."""
        if not self.told:
            self.broken.append("no process told of a token")
        minted = self.box.log.tokens_issued
        async with Crew(self.place, 1, "each", list(self.told)) as crew:
            [found] = await crew.results()
        lost = sum(found[scope] != token for scope, token in self.told.items())
        if lost or self.box.log.tokens_issued != minted:
            self.broken.append(f"{lost} tokens are lost")
        keys = {entry.idempotency_key for entry in self.box.log.find(TOKEN)}
        if len(keys) > self.box.log.codes_issued:
            self.broken.append("a code was sent under two keys")
        if self.box.log.count(TOKEN, status=400):
            self.broken.append("a code was refused")
        if self.place.store.endswith(".db"):
            connection = sqlite3.connect(self.place.store)
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                self.broken.append("the file is corrupt")
            connection.close()


async def killed(kind, store, kills, seed, seconds=float("inf")):
    """Kill, check, and return what broke."""
    async with Sandbox(rate_limit=None) as box:
        run = Kills(box, store, seeded_random(seed))
        kills = await run.run(kills, seconds)
        await run.check()
        print(  # noqa: T201  # this is a program
            f"kills: store={kind} kills={kills} told={len(run.told)}"
            f" codes={box.log.codes_issued} tokens={box.log.tokens_issued}"
            f" broken={len(run.broken)}"
        )
        return run.broken


def main(arguments=None):
    """Run over every store, so many kills each, and return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    server = RedisServer() if BINARY else None
    postgres = PostgresServer() if BINARIES else None
    broken = []
    try:
        with tempfile.TemporaryDirectory() as directory:
            places = {"sqlite": str(Path(directory) / "tokens.db")}
            if server is None:
                print("kills: left out Redis; redis-server is not installed")  # noqa: T201  # as above
            else:
                places["redis"] = server.url
            if postgres is not None:
                places["postgres"] = postgres.url
            minutes = float(os.environ.get("SOAK_MINUTES", "inf"))
            seconds = 60 * minutes / len(places)
            for kind, store in places.items():
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
