"""A batch over nothing: objects come when a test says so, on a clock moved by hand."""

import asyncio

import attrs
import pytest

from persona_share.batch import Batch
from persona_share.batch.brake import Brake
from persona_share.batch.crew import Crew
from persona_share.batch.opening import Direct
from persona_share.batch.stream import Surroundings
from persona_share.batch.tally import Tally
from persona_share.testing import FakeClock


@attrs.define
class Objects:
    """Retrieves: an object is its id, and waits while its id is held back."""

    asked: list = attrs.field(factory=list)
    under_way: int = 0
    most: int = 0
    held: dict = attrs.field(factory=dict)
    errors: dict = attrs.field(factory=dict)

    async def retrieve(self, object_id):
        self.asked.append(object_id)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.held.get(object_id, _at_once)()
        finally:
            self.under_way -= 1
        error = self.errors.get(object_id)
        if isinstance(error, list):
            error = error.pop(0) if error else None
        if error is not None:
            raise error
        return object_id

    def hold(self, object_id):
        """Hold an object back, and answer what lets it go."""
        gate = asyncio.Event()

        self.held[object_id] = gate.wait
        return gate


async def _at_once():
    await asyncio.sleep(0)  # noqa: TID251  # another task's turn


@attrs.define
class Kit:
    objects: Objects = attrs.field(factory=Objects)
    clock: FakeClock = attrs.field(factory=FakeClock)
    told: list = attrs.field(factory=list)
    allowance: object = None

    def batch(self, ids, *, concurrency=4, checkpoint=None, opening=None, size=8):
        brake = Brake(self.clock, concurrency)
        crew = Crew(
            ids=ids,
            opening=opening or Direct(self.objects.retrieve, size),
            clock=self.clock,
            brake=brake,
            tally=Tally(),
            concurrency=concurrency,
            checkpoint=checkpoint,
        )
        around = Surroundings(
            total=len(ids) if hasattr(ids, "__len__") else None,
            per_token=None,
            allowance=lambda: self.allowance,
            tokens=lambda: 0,
            emit=self.told.append,
        )
        return Batch(crew, around)

    async def settle(self):
        """Let everything run that can run without time passing."""
        for _ in range(60):
            await asyncio.sleep(0)  # noqa: TID251  # lets others run

    async def until(self, task, step=1.0, steps=1_000):
        """Let time pass until something is done."""
        task = asyncio.ensure_future(task)
        for _ in range(steps):
            await self.settle()
            if task.done():
                break
            self.clock.advance(step)
        return await task


async def collected(batch):
    """Everything that a batch yields."""
    return [each async for each in batch]


def ids_of(outcomes):
    """The ids of outcomes, in their order."""
    return [each.id for each in outcomes]


def no_tasks_left():
    """Whether only the test itself still runs."""
    return asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def kit():
    return Kit()
