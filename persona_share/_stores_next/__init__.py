"""Stores: where managers, processes and guards share small records.

Every store implements `ports.Store`: five operations on small records, with
compare-and-swap as the only way to change one. What a record means is decided by the
package that writes it.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from persona_share._stores_next.memory import MemoryStore
    from persona_share.ports.store import Store, Versioned

__all__ = ["MemoryStore", "Store", "Versioned"]

_MODULES = {
    "MemoryStore": "persona_share._stores_next.memory",
    "Store": "persona_share.ports.store",
    "Versioned": "persona_share.ports.store",
}


if not TYPE_CHECKING:  # a type checker would otherwise accept any name

    def __getattr__(name: str) -> object:
        """Import a store when it is first used."""
        if name not in _MODULES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the names that can be imported."""
    return sorted({*globals(), *__all__})
