"""`Canary`: plants secrets and searches for them where they must not appear."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote


#: The prefix of every credential of a sandbox.
SANDBOX_MARK: Final = "localbox_"


class LeakError(AssertionError):
    """A planted secret was found; the message does not contain it."""


class Canary:
    """Searches logs, errors, spans and other objects for planted secrets.

    Credentials of the sandbox, including codes and tokens, need not be planted.
    """

    def __init__(self) -> None:
        self._planted = [SANDBOX_MARK]
        self._places: dict[str, None] = {}

    def plant(self, secret: str) -> str:
        """Plant a secret, and return it.

        Raises ValueError if it has fewer than eight characters, because a short text
        appears by chance.
        """
        if len(secret) < 8:  # noqa: PLR2004 — explained above
            message = "a planted secret needs at least eight characters"
            raise ValueError(message)
        self._planted += [secret, quote(secret, safe="")]
        return secret

    def look_at(self, text: object, place: str) -> None:
        """Search a text, or the text of an object; ``place`` is its name in the report."""
        for printed in (text,) if isinstance(text, str) else (str(text), repr(text)):
            if any(secret in printed for secret in self._planted):
                self._places[place] = None

    def look_at_error(self, error: BaseException) -> None:
        """Search an error, its causes and its attributes."""
        lines = traceback.format_exception(error, chain=True)
        # Lines of source code are left out: the test itself may contain the secret.
        searched = [line for line in lines if not line.lstrip().startswith("File ")]
        place = f"the error {type(error).__name__}"
        self.look_at("".join(searched), place)
        self.look_at(repr(error.__dict__), place)

    def span_processor(self) -> "SpanSearch":
        """Return a span processor for the OpenTelemetry SDK that searches every span."""
        return SpanSearch(self)

    def found(self) -> LeakError | None:
        """Return an error that names the places since the last call, or None."""
        places, self._places = tuple(self._places), {}
        if not places:
            return None
        return LeakError(f"a planted secret reached {', '.join(places)}")

    def check(self) -> None:
        """Raise `LeakError` if a secret was found since the last call."""
        if (leak := self.found()) is not None:
            raise leak

    @contextmanager
    def watching_logs(self) -> Iterator[None]:
        """Search every log record of any level while the block runs."""
        root, handler = logging.getLogger(), _LogSearch(self)
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)


class _LogSearch(logging.Handler):
    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.NOTSET)
        self._canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        place = f"the log {record.name}"
        self._canary.look_at(record.getMessage(), place)
        self._canary.look_at(repr(record.args), place)
        if record.exc_info and record.exc_info[1] is not None:
            self._canary.look_at_error(record.exc_info[1])


class SpanSearch:
    """A span processor for the OpenTelemetry SDK, which is not imported."""

    def __init__(self, canary: Canary) -> None:
        self._canary = canary

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Do nothing: a span is complete when it ends."""

    def _on_ending(self, span: Any) -> None:
        """Do nothing: a span is complete when it ends."""

    def on_end(self, span: Any) -> None:
        """Search the exported form of a span."""
        self._canary.look_at(str(span.to_json()), f"the span {span.name}")

    def shutdown(self) -> None:
        """Do nothing: there are no resources."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is buffered."""
        return timeout_millis >= 0
