"""Stores: where managers, processes and guards share small records.

Every store implements `ports.Store`: five operations on small records, with
compare-and-swap as the only way to change one. What a record means is decided by the
package that writes it. The built-in stores are subclasses of `stores.base.BaseStore`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from persona_share.errors import MissingExtraError


if TYPE_CHECKING:
    from persona_share.ports import Store, Versioned
    from persona_share.stores.encrypted import Encrypted
    from persona_share.stores.memory import MemoryStore
    from persona_share.stores.postgres import PostgresStore
    from persona_share.stores.rate_limit import SharedRateLimit
    from persona_share.stores.redis import RedisStore
    from persona_share.stores.sqlite import SQLiteStore

__all__ = [
    "Encrypted",
    "MemoryStore",
    "PostgresStore",
    "RedisStore",
    "SQLiteStore",
    "SharedRateLimit",
    "Store",
    "Versioned",
]

_MODULES = {
    "Encrypted": f"{__name__}.encrypted",
    "MemoryStore": f"{__name__}.memory",
    "PostgresStore": f"{__name__}.postgres",
    "RedisStore": f"{__name__}.redis",
    "SQLiteStore": f"{__name__}.sqlite",
    "SharedRateLimit": f"{__name__}.rate_limit",
    "Store": "persona_share.ports",
    "Versioned": "persona_share.ports",
}
_EXTRAS = {"Encrypted": "crypto", "PostgresStore": "postgres", "RedisStore": "redis"}


if not TYPE_CHECKING:  # a type checker would otherwise accept any name

    def __getattr__(name: str) -> object:
        """Import a store when it is first used."""
        if name not in _MODULES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        try:
            value = getattr(import_module(_MODULES[name]), name)
        except ImportError as error:
            if name not in _EXTRAS or str(error.name).startswith("persona_share"):
                raise
            raise MissingExtraError.of(error, name, _EXTRAS[name]) from None
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the names that can be imported."""
    return sorted({*globals(), *__all__})
