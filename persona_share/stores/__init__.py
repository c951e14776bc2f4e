"""Where tokens are kept between uses, behind one protocol (`ports.TokenStore`).

One file, or one folder, per place. No store knows another, and none decides anything:
who exchanges, and what a kept token is still good for, is decided in `_protocol`.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from persona_share.stores.encrypted import Encrypted
    from persona_share.stores.memory import MemoryStore
    from persona_share.stores.redis.store import RedisStore
    from persona_share.stores.redis.window import Shared
    from persona_share.stores.sqlite.store import SQLiteStore

__all__ = [
    "Encrypted",
    "MemoryStore",
    "RedisStore",
    "SQLiteStore",
    "Shared",
]

_FILE_OF = {
    "Encrypted": "encrypted",
    "MemoryStore": "memory",
    "RedisStore": "redis.store",
    "SQLiteStore": "sqlite.store",
    "Shared": "redis.window",
}


if not TYPE_CHECKING:  # a checker that saw it would believe in any name at all

    def __getattr__(name: str) -> object:
        """Fetch a store from its file when it is first asked for."""
        if name not in _FILE_OF:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List what can be fetched."""
    return sorted({*globals(), *__all__})
