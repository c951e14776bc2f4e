"""What the tests of managers that share a store stand on."""

from persona_share import Scope
from persona_share._protocol.record import name_of
from persona_share.errors import StoreUnavailableError
from persona_share.stores import MemoryStore


SCOPE = Scope.read("inq_1", "ver_2")
PART = Scope.read("inq_1")


class Unreliable(MemoryStore):
    """A store that is down, or does something first, when a test says so."""

    down = False
    asked = 0

    async def change(self, key, change, *, announce=False):
        self.asked += 1
        if self.down:
            message = "the store is down"
            raise StoreUnavailableError(message)
        return await super().change(key, change, announce=announce)

    def forget_everything(self):
        self._records.clear()


async def value(manager, scope=SCOPE):
    return (await manager.token(scope)).reveal()


def record_of(house, store, scope=SCOPE):
    name = name_of(b"names", house.context.origin, "scope", str(scope))
    return store._records[name][0]
