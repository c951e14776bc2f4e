"""Collect the texts of all outputs in which a value can appear."""

import asyncio
import copy
import gc
import logging
import pickle
import sys
import traceback
import warnings
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import attrs
import cattrs


TESTS = Path(__file__).parents[1]


class Outputs:
    """The collected texts of each output."""

    def __init__(self):
        self.texts = defaultdict(list)

    def found(self, canaries):
        """Return which canaries appear on which outputs."""
        return sorted(
            {
                (name, canary)
                for name, texts in self.texts.items()
                for canary, secret in canaries.items()
                if any(secret in text for text in texts)
            }
        )

    def add(self, name, *values):
        self.texts[name] += [str(value) for value in values]

    def print_values(self, *things):
        """Format values in every way."""
        for each in things:
            self.add("repr", repr(each), repr([each]), repr({"a": each}))
            self.add("str", str(each))
            self.add("format", f"{each}", f"{each!s:>60}", f"{each!a}")
            self.add("percent", "%s %r" % (each, each))  # noqa: UP031 — one of the ways
            self.add("dir", dir(each))
            if hasattr(each, "__dict__"):
                self.add("vars", repr(vars(each)))

    def serialize(self, *things):
        """Copy and serialize values, where they allow it."""
        ways = {
            "pickle": pickle.dumps,
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
            "asdict": attrs.asdict,
            "unstructure": cattrs.unstructure,
        }
        for each in things:
            for name, way in ways.items():
                try:
                    self.add(name, repr(way(each)))
                except Exception as refusal:  # noqa: BLE001 — its text is an output, too
                    self.add(name, repr(refusal))

    def add_error(self, error):
        """Add the texts of an error that a crash report may contain."""
        seen = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            place = "chain" if len(seen) > 1 else "exception"
            self.add(place, str(error), repr(error), repr(vars(error)))
            self._trace(error)
            with suppress(TypeError):  # a foreign one may not be picklable
                self.add("pickled error", repr(pickle.dumps(error)))
            error = error.__cause__ or error.__context__

    def _trace(self, error):
        """Look at the locals of every frame that is not a test's own."""
        chain = traceback.TracebackException.from_exception(
            error, limit=1_000, capture_locals=True
        )
        self.add("traceback", *chain.format_exception_only())
        for frame in chain.stack:
            if not Path(frame.filename).is_relative_to(TESTS):
                self.add("locals", *(frame.locals or {}).items())

    @contextmanager
    def capture(self, caplog, capfd):
        """Capture logs, warnings, tasks and streams, with asyncio's debug mode on."""
        caplog.set_level(logging.DEBUG)
        asyncio.get_running_loop().set_debug(enabled=True)
        # aiohttp keeps the stack of each request in debug mode: source, no values.
        short = patch.object(sys, "tracebacklimit", 3, create=True)
        with warnings.catch_warnings(record=True) as warned, short:
            warnings.simplefilter("always")
            yield
            self.add("tasks", *map(repr, asyncio.all_tasks()))
            gc.collect()
        self.add("warnings", *(warning.message for warning in warned))
        for record in caplog.records:
            self.add("logs", record.getMessage(), repr(record.args), repr(vars(record)))
        printed = capfd.readouterr()
        self.add("streams", printed.out, printed.err)
