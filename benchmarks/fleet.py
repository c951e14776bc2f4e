"""The codes that processes spend together: real ones, over a file and over Redis."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.figure import Figure, Figures, show
from persona_share import Scope
from persona_share.sandbox import Sandbox
from tests.fleet.crew import Crew, Place
from tests.redis_server import RedisServer


SCOPES = 50


async def burnt(store: str | None, processes: int) -> float:
    """Answer how many codes a token cost, where so many processes need the same."""
    async with Sandbox(rate_limit=None) as box:
        place = Place(
            box.url, box.source.api_key, box.destination.api_key, box.destination.id
        )
        scopes = [str(Scope.read(box.add_inquiry().id)) for _ in range(SCOPES)]
        place = attrs.evolve(place, store=store)
        async with Crew(place, processes, "each", scopes) as crew:
            results = await crew.results()
        tokens = {token for result in results for token in result.values()}
        return box.log.codes_issued / len(tokens)


@contextmanager
def stores(server: RedisServer) -> Iterator[dict[str, str]]:
    """Answer the stores by name, each empty."""
    server.client.flushall()
    with tempfile.TemporaryDirectory() as directory:
        yield {"SQLite": str(Path(directory) / "tokens.db"), "Redis": server.url}


def figures() -> Figures:
    """Return what codes cost."""
    server = RedisServer()
    try:
        for processes in (1, 4, 8):
            with stores(server) as places:
                for name, place in places.items():
                    yield Figure(
                        name=f"codes burnt per token, {processes} processes, {name}",
                        unit="codes",
                        ours=asyncio.run(burnt(place, processes)),
                        at_most=1.0,
                        absolute=True,
                    )
    finally:
        server.stop()


if __name__ == "__main__":
    show(figures)
