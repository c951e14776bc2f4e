"""Canary: secrets that are planted, and everything that must not show them."""

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
    """Looks for planted secrets in logs, errors, spans and whatever else it is shown.

    Credentials of the sandbox, its codes and tokens included, need no planting.
    """

    def __init__(self) -> None:
        self._planted = [SANDBOX_MARK]
        self._places: dict[str, None] = {}

    def plant(self, secret: str) -> str:
        """Answer a secret, which from now on must show nowhere.

        Raises ValueError for one under eight characters: it would be found anywhere.
        """
        if len(secret) < 8:  # noqa: PLR2004 — a word of a sentence is no secret
            message = "a canary needs at least eight characters"
            raise ValueError(message)
        self._planted += [secret, quote(secret, safe="")]
        return secret

    def look_at(self, text: object, place: str) -> None:
        """Look at a text or at what a thing prints; ``place`` is how to call it."""
        for printed in (text,) if isinstance(text, str) else (str(text), repr(text)):
            if any(secret in printed for secret in self._planted):
                self._places[place] = None

    def look_at_error(self, error: BaseException) -> None:
        """Look at an error, at what it came from, and at what it carries."""
        lines = traceback.format_exception(error, chain=True)
        # Lines of source are the test's own, in which it may well name its secret.
        shown = [line for line in lines if not line.lstrip().startswith("File ")]
        place = f"the error {type(error).__name__}"
        self.look_at("".join(shown), place)
        self.look_at(repr(error.__dict__), place)

    def span_processor(self) -> "SpanWatch":
        """Answer a span processor for an OpenTelemetry SDK, which looks at every span."""
        return SpanWatch(self)

    def found(self) -> LeakError | None:
        """Answer the error for what was found since the last time, or None."""
        places, self._places = tuple(self._places), {}
        if not places:
            return None
        return LeakError(f"a planted secret reached {', '.join(places)}")

    def check(self) -> None:
        """Raise `LeakError` if a secret was found since the last time."""
        if (leak := self.found()) is not None:
            raise leak

    @contextmanager
    def watching_logs(self) -> Iterator[None]:
        """Look at every log record, those at debug level included."""
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
    """A span processor in the words of OpenTelemetry's SDK, which it does not need."""

    def __init__(self, canary: Canary) -> None:
        self._canary = canary

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Wait for the end: what a span has is known then."""

    def _on_ending(self, span: Any) -> None:
        """Wait for the end."""

    def on_end(self, span: Any) -> None:
        """Look at all that is exported of a span."""
        self._canary.look_at(str(span.to_json()), f"the span {span.name}")

    def shutdown(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Answer that nothing is kept back."""
        return timeout_millis >= 0
