"""Observed: one log record and one event per call, without secrets."""

import inspect
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TextIO

from persona_share._protocol.errors import request_id_of
from persona_share._protocol.http import Request, Response
from persona_share._protocol.redaction import escaped
from persona_share.errors import ConfigurationError, PersonaError
from persona_share.model.events import CallEnded, HookEvent
from persona_share.ports import Hook, Sender


_LOG: Final = logging.getLogger("persona_share")
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str | None) -> None:
    """Write this package's log to standard error if PERSONA_LOG names a level.

    A second call with the same level does nothing.

    Raises:
        ConfigurationError: it is none of the levels.
    """
    if not level:
        return
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
    if level.lower() not in levels:
        message = "PERSONA_LOG must be debug, info or warning"
        raise ConfigurationError(message)
    _LOG.setLevel(levels[level.lower()])
    if not any(isinstance(each, _StderrHandler) for each in _LOG.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        _LOG.addHandler(handler)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """The handler that `log_to_stderr` adds; its type distinguishes it from the program's."""


class EventEmitter:
    """Passes every event to every hook; a failing hook does not affect the call.

    A hook that raises, or that would have to be awaited, is reported once, by its name
    and the type of its error, and still gets the next event.
    """

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self._hooks = tuple(hooks)
        self._reported: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def __call__(self, event: HookEvent) -> None:
        """Pass an event to every hook."""
        for number, hook in enumerate(self._hooks):
            try:
                result = hook(event)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - a hook's
                self._report(number, hook, f"raised {type(error).__name__}")
            else:
                if inspect.iscoroutine(result):
                    result.close()
                    self._report(number, hook, "is async and is never awaited")

    def _report(self, number: int, hook: Hook, what: str) -> None:
        if number not in self._reported:
            self._reported.add(number)
            name = getattr(hook, "__qualname__", type(hook).__qualname__)
            _LOG.warning("the hook %s %s", escaped(name, 100), what)


class Observed:
    """Reports each call to the log at debug level, and to the hooks.

    ``credential`` is a fingerprint for the log, never a part of the credential.
    """

    def __init__(
        self,
        inner: Sender,
        now: Callable[[], float],
        emit: EventEmitter,
        *,
        credential: str = "-",
    ) -> None:
        self._inner = inner
        self._now = now
        self._emit = emit
        self._has_hooks = bool(emit)
        self._credential = credential

    def send(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Send, and report the result."""
        if self._has_hooks or _LOG.isEnabledFor(logging.DEBUG):
            return self._send_and_report(request)
        return self._inner.send(request)

    async def _send_and_report(self, request: Request) -> Response:
        started = self._now()
        try:
            response = await self._inner.send(request)
        except BaseException as error:
            self._report(_failure(request, started, self._now(), error))
            raise
        self._report(_success(request, started, self._now(), response))
        return response

    def _report(self, event: CallEnded) -> None:
        _LOG.debug(
            "%s: %s in %.3f s, attempts %d, request %s, credential %s",
            event.operation,
            event.error or event.status,
            event.seconds,
            event.attempts,
            event.request_id,
            self._credential,
        )
        self._emit(event)


def _success(
    request: Request, started: float, now: float, response: Response
) -> CallEnded:
    return CallEnded(
        at=now,
        operation=request.operation,
        seconds=now - started,
        attempts=len(response.attempts) or 1,
        status=response.status,
        request_id=request_id_of(request, response),
    )


def _failure(
    request: Request, started: float, now: float, error: BaseException
) -> CallEnded:
    facts = error if isinstance(error, PersonaError) else None
    return CallEnded(
        at=now,
        operation=request.operation,
        seconds=now - started,
        attempts=len(facts.attempts) if facts else 0,
        status=facts.status if facts else None,
        request_id=facts.request_id if facts else None,
        error=type(error).__name__,
    )
