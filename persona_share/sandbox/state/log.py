"""A log of all requests, without secrets."""

from collections import deque
from collections.abc import Callable, Iterator

import attrs


@attrs.frozen
class Entry:
    """One request and its response; ``status`` is None for a closed connection.

    ``idempotency_key`` and ``token`` are keyed hashes: compare them with each other or
    with `Log.digest`.
    """

    at: float
    operation: str
    status: int | None
    organization: str | None = None
    credential: str | None = None
    token: str | None = None
    idempotency_key: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    replayed: bool = False


class Log:
    """All requests in the order of their responses, and counts of OAuth operations."""

    def __init__(self, digest: Callable[[str], str], limit: int) -> None:
        self._digest = digest
        self._entries: deque[Entry] = deque(maxlen=limit)
        self.codes_issued: int = 0
        self.codes_redeemed: int = 0
        self.tokens_issued: int = 0
        #: Requests to the file server that had an Authorization header.
        self.authorizations_at_files: int = 0
        #: Errors of the sandbox itself; a test can check that there are none.
        self.crashes: list[BaseException] = []

    def append(self, entry: Entry) -> None:
        """Append an entry."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Remove all entries and reset the counts."""
        self._entries.clear()
        self.codes_issued = self.codes_redeemed = self.tokens_issued = 0
        self.authorizations_at_files = 0

    def digest(self, text: str) -> str:
        """Return the hash of a key or token as it is in the entries."""
        return self._digest(text)

    def find(
        self,
        operation: str | None = None,
        *,
        status: int | None = None,
        object_id: str | None = None,
        replayed: bool | None = None,
    ) -> list[Entry]:
        """Return the entries that match all arguments."""
        wanted = {
            "operation": operation,
            "status": status,
            "object_id": object_id,
            "replayed": replayed,
        }
        given = [(name, value) for name, value in wanted.items() if value is not None]
        return [
            entry
            for entry in self._entries
            if all(getattr(entry, name) == value for name, value in given)
        ]

    def count(
        self,
        operation: str | None = None,
        *,
        status: int | None = None,
        object_id: str | None = None,
        replayed: bool | None = None,
    ) -> int:
        """Return the number of entries that match all arguments."""
        found = self.find(
            operation, status=status, object_id=object_id, replayed=replayed
        )
        return len(found)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]
