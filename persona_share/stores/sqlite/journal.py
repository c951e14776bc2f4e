"""Which journal a SQLite file gets, and why."""

from typing import Final

import attrs


_Version = tuple[int, int, int]
#: The releases in which a write-ahead log with several writers no longer loses pages,
#: each until the next minor one: SQLite forum and changes, "WAL-reset bug" (P16).
_SOUND: Final[tuple[_Version, ...]] = ((3, 44, 6), (3, 50, 7))
_SOUND_SINCE: Final[_Version] = (3, 51, 3)


@attrs.frozen
class Journal:
    """A journal mode, and the reason for it in words."""

    mode: str
    reason: str


def journal_for(version: _Version, network: str | None) -> Journal:
    """Choose the journal for this release of SQLite on this file system."""
    name = ".".join(map(str, version))
    if network is not None:
        reason = f"no write-ahead log works on a network file system ({network})"
        return Journal("truncate", reason)
    if wal_is_sound(version):
        return Journal("wal", f"SQLite {name} has a sound write-ahead log")
    reason = f"SQLite {name} may corrupt a write-ahead log that several write"
    return Journal("truncate", reason)


def wal_is_sound(version: _Version) -> bool:
    """Answer whether several may write to a write-ahead log in this release."""
    return version >= _SOUND_SINCE or any(
        version[:2] == fixed[:2] and version >= fixed for fixed in _SOUND
    )
