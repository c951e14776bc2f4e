"""Canary: planted secrets, and a check of everything that must not show them."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote


#: The mark in every credential that a sandbox makes.
SANDBOX_MARK: Final = "localbox_"


class LeakError(AssertionError):
    """A planted secret was found where it must not be; the secret is not repeated."""


class Canary:
    """Looks for planted secrets in logs, errors, spans and anything passed to it.

    Credentials of the sandbox, its codes and tokens included, need no planting.
    """

    def __init__(self) -> None:
        self._planted = [SANDBOX_MARK]
        self._places: dict[str, None] = {}

    def plant(self, secret: str) -> str:
        """Return a secret that must not appear anywhere from now on.

        Raises ValueError for one under eight characters: it would be found anywhere.
        """
        if len(secret) < 8:  # noqa: PLR2004 — a word of a sentence is no secret
            message = "a canary needs at least eight characters"
            raise ValueError(message)
        self._planted += [secret, quote(secret, safe="")]
        return secret

    def look_at(self, text: object, place: str) -> None:
        """Check a text, or the text of an object; ``place`` names it in the report."""
        for printed in (text,) if isinstance(text, str) else (str(text), repr(text)):
            if any(secret in printed for secret in self._planted):
                self._places[place] = None

    def look_at_error(self, error: BaseException) -> None:
        """Check an error, its causes and its attributes."""
        lines = traceback.format_exception(error, chain=True)
        # Lines of source are the test's own, in which it may well name its secret.
        shown = [line for line in lines if not line.lstrip().startswith("File ")]
        place = f"the error {type(error).__name__}"
        self.look_at("".join(shown), place)
        self.look_at(repr(error.__dict__), place)

    def span_processor(self) -> "SpanWatch":
        """Return a span processor for OpenTelemetry's SDK that checks every span."""
        return SpanWatch(self)

    def found(self) -> LeakError | None:
        """Return an error for what was found since the last call, or None."""
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
        """Check every log record, debug level included."""
        root, handler = logging.getLogger(), _Watch(self)
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)


class _Watch(logging.Handler):
    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.NOTSET)
        self._canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        place = f"the log {record.name}"
        self._canary.look_at(record.getMessage(), place)
        self._canary.look_at(repr(record.args), place)
        if record.exc_info and record.exc_info[1] is not None:
            self._canary.look_at_error(record.exc_info[1])


class SpanWatch:
    """A span processor for OpenTelemetry's SDK, without importing it."""

    def __init__(self, canary: Canary) -> None:
        self._canary = canary

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Do nothing: a span is complete when it ends."""

    def _on_ending(self, span: Any) -> None:
        """Do nothing: a span is complete when it ends."""

    def on_end(self, span: Any) -> None:
        """Check everything that is exported of a span."""
        self._canary.look_at(str(span.to_json()), f"the span {span.name}")

    def shutdown(self) -> None:
        """Do nothing: there is nothing to release."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is buffered."""
        return timeout_millis >= 0
