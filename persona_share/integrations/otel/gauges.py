"""Gauges: what managers hold now. An exporter asks for them from a thread of its own.

A manager may be asked in its own event loop alone, so what was asked there last is kept
and moved on to the present by the clock.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final
from weakref import ref

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from persona_share.manager import ScopedTokenManager
from persona_share.model.metrics import TokenMetrics


_NOTHING: Final = TokenMetrics()
Reading = Callable[["Observed"], Iterable[Observation]]


class Observed:
    """One manager, as it was when it was looked at last."""

    def __init__(self, manager: ScopedTokenManager, now: Callable[[], float]) -> None:
        self._manager = ref(manager)
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._looked_at = 0.0
        self._found = _NOTHING
        self._looking = False
        self.look()

    @property
    def gone(self) -> bool:
        """Whether there is nothing to look at any more."""
        return self._manager() is None or self._loop.is_closed()

    def look(self) -> None:
        """Ask the manager; only in its own event loop."""
        self._looking = False
        if (manager := self._manager()) is not None:
            self._found, self._looked_at = manager.metrics(), self._now()

    def look_soon(self) -> None:
        """Ask the manager at the next turn of its event loop, from any thread."""
        if not (self._looking or self.gone):
            self._looking = True
            with suppress(RuntimeError):  # the loop was closed this very moment
                self._loop.call_soon_threadsafe(self.look)

    def found(self) -> TokenMetrics:
        """Return the last metrics, and refresh them soon."""
        self.look_soon()
        return self._found

    def nearest_end(self) -> float | None:
        """Return the seconds until the next token expires."""
        end = self.found().nearest_end
        return None if end is None else max(0.0, end - (self._now() - self._looked_at))


class Gauges:
    """The gauges of all managers of a program, added up where that makes sense."""

    def __init__(self, meter: Meter, now: Callable[[], float]) -> None:
        self._now = now
        self._managers: list[Observed] = []
        for name, unit, what, reading in (
            ("persona.tokens", "{token}", "Tokens held, by state", _tokens),
            ("persona.codes.waiting", "{code}", "Codes that wait", _codes),
        ):
            meter.create_observable_up_down_counter(
                name, [self._each(reading)], unit, what
            )
        meter.create_observable_gauge(
            "persona.token.nearest_end",
            [self._nearest],
            "s",
            "Seconds until the first of the tokens held ends",
        )
        meter.create_observable_gauge(
            "persona.codes.per_token",
            [self._per_token],
            "{code}",
            "Codes burnt per token; 1 is the aim",
        )

        meter.create_observable_gauge(
            "persona.store.up",
            [self._store_up],
            "1",
            "Whether the token store answers: 1 or 0",
        )

    def observe(self, manager: ScopedTokenManager) -> None:
        """Look at this manager, too."""
        self._managers.append(Observed(manager, self._now))

    def changed(self) -> None:
        """Look again, as something has happened."""
        for each in self._alive():
            each.look_soon()

    def _alive(self) -> list[Observed]:
        self._managers = [each for each in self._managers if not each.gone]
        return self._managers

    def _each(self, reading: Reading) -> Callable[[CallbackOptions], list[Observation]]:
        def read(_: CallbackOptions) -> list[Observation]:
            sums: dict[frozenset[tuple[str, object]], Observation] = {}
            for manager in self._alive():
                for one in reading(manager):
                    key = frozenset((one.attributes or {}).items())
                    before = sums[key].value if key in sums else 0
                    sums[key] = Observation(before + one.value, one.attributes)
            return list(sums.values())

        return read

    def _nearest(self, _: CallbackOptions) -> list[Observation]:
        ends = [each.nearest_end() for each in self._alive()]
        known = [end for end in ends if end is not None]
        return [Observation(min(known))] if known else []

    def _per_token(self, _: CallbackOptions) -> list[Observation]:
        found = [each.found() for each in self._alive()]
        minted = sum(each.minted for each in found)
        claimed = sum(each.codes_claimed for each in found)
        return [Observation(claimed / minted)] if minted else []

    def _store_up(self, _: CallbackOptions) -> list[Observation]:
        found = [each.found().store_up for each in self._alive()]
        known = [up for up in found if up is not None]
        return [Observation(int(all(known)))] if known else []


def _tokens(manager: Observed) -> Iterator[Observation]:
    for state, count in manager.found().tokens.items():
        yield Observation(count, {"state": state})


def _codes(manager: Observed) -> Iterator[Observation]:
    yield Observation(manager.found().codes_waiting)
