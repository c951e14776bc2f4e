"""Stores: where managers, processes and guards share small records.

Every store implements `ports.Store`: five operations on small records, with
compare-and-swap as the only way to change one. The package that writes a record decides what
it means. The built-in stores are subclasses of `stores.base.BaseStore`.
"""

from typing import TYPE_CHECKING

from persona_share._lazy import lazy_names


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

if not TYPE_CHECKING:  # a type checker would accept any name of the package
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            ".encrypted": "Encrypted",
            ".memory": "MemoryStore",
            ".postgres": "PostgresStore",
            ".rate_limit": "SharedRateLimit",
            ".redis": "RedisStore",
            ".sqlite": "SQLiteStore",
            "persona_share.ports": "Store Versioned",
        },
        extras={
            "Encrypted": "crypto",
            "PostgresStore": "postgres",
            "RedisStore": "redis",
        },
    )
