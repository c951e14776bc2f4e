"""A batch without a network, on a fake clock; a test decides when objects arrive."""

import asyncio

import attrs
import pytest

from persona_share.batch import Batch
from persona_share.batch.batch import BatchContext
from persona_share.batch.groups import DirectPlanner
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.workers import BatchStats, WorkerPool
from persona_share.testing import FakeClock


@attrs.define
class Objects:
    """Retrieves objects; an object is its id, and a test can delay it."""

    asked: list = attrs.field(factory=list)
    in_progress: int = 0
    most: int = 0
    held: dict = attrs.field(factory=dict)
    errors: dict = attrs.field(factory=dict)
    before: object = None

    async def retrieve(self, object_id):
        self.asked.append(object_id)
        self.in_progress += 1
        self.most = max(self.most, self.in_progress)
        try:
            await self.held.get(object_id, self.before or _at_once)()
        finally:
            self.in_progress -= 1
        error = self.errors.get(object_id)
        if isinstance(error, list):
            error = error.pop(0) if error else None
        if error is not None:
            raise error
        return object_id

    def hold(self, object_id):
        """Delay an object, and return a function that releases it."""
        gate = asyncio.Event()

        self.held[object_id] = gate.wait
        return gate


async def _at_once():
    await asyncio.sleep(0)  # noqa: TID251  # another task's turn


@attrs.define
class Kit:
    objects: Objects = attrs.field(factory=Objects)
    clock: FakeClock = attrs.field(factory=FakeClock)
    progress_events: list = attrs.field(factory=list)
    allowance: object = None

    def monitor(self, *, threshold=4, max_outage=900.0, waiting_for="service"):
        return OutageMonitor(
            self.clock,
            threshold=threshold,
            max_outage=max_outage,
            waiting_for=waiting_for,
        )

    def batch(
        self,
        ids,
        *,
        concurrency=4,
        checkpoint=None,
        planner=None,
        size=8,
        partner=None,
        max_outage=900.0,
        acknowledge="next",
    ):
        pool = WorkerPool(
            ids=ids,
            planner=planner or DirectPlanner(self.objects.retrieve, size),
            clock=self.clock,
            outages=self.monitor(max_outage=max_outage),
            partner_outages=partner,
            stats=BatchStats(),
            concurrency=concurrency,
            checkpoint=checkpoint,
            keep_tokens=acknowledge == "explicit",
        )
        context = BatchContext(
            total=len(ids) if hasattr(ids, "__len__") else None,
            per_token=None,
            allowance=lambda: self.allowance,
            tokens=lambda: 0,
            emit=self.progress_events.append,
            acknowledge=acknowledge,
        )
        return Batch(pool, context)

    async def settle(self):
        """Run tasks until all of them wait for time to pass."""
        for _ in range(120):
            await asyncio.sleep(0)  # noqa: TID251  # lets others run

    async def until(self, task, step=1.0, steps=1_000):
        """Advance the clock until a task is done."""
        task = asyncio.ensure_future(task)
        for _ in range(steps):
            await self.settle()
            if task.done():
                break
            self.clock.advance(step)
        async with asyncio.timeout(30):  # real time: the clock stands still now
            return await task


@attrs.define
class Object:
    """An object as far as a row needs it."""

    id: str
    type: str = "inquiry"

    @property
    def raw(self):
        return {"type": self.type, "id": self.id, "attributes": {"text": "x" * 300}}


async def collected(batch):
    """Return everything that a batch yields."""
    return [each async for each in batch]


def ids_of(outcomes):
    """Return the ids of outcomes, in order."""
    return [each.id for each in outcomes]


def no_tasks_left():
    """Return whether only the test's own task is left."""
    return asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def kit():
    return Kit()
