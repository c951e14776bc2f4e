"""Processes that start fast: they are forked from a server that has imported the library.

They save the half second in which a new interpreter imports the library.
"""

import json
import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path

import attrs


#: Seconds after which a process counts as hanging.
LONGEST = 90.0
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["tests.preloaded"])


@attrs.define
class CompletedProcess:
    """The exit code and output of a process."""

    code: int
    out: str
    err: str

    @property
    def value(self):
        """Return the JSON value on standard output."""
        return json.loads(self.out)


def run(program, *arguments, env, stdin=None, cwd=None):
    """Run a Python program to its end; no stream of it is a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, each) for each in ("in", "out", "err")]
        for each in streams:
            each.write_text((stdin or "") if each.name == "in" else "", "utf-8")
        task = ([str(program), *map(str, arguments)], env, cwd or Path.cwd(), streams)
        process = FORKSERVER.Process(target=_become, args=task, daemon=True)
        process.start()
        process.join(LONGEST)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return CompletedProcess(
            code, *(each.read_text("utf-8") for each in streams[1:])
        )


def _become(argv, env, cwd, streams):
    """Run a program with its own arguments, environment, folder and streams."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0, encoding="utf-8", closefd=False),
        os.fdopen(1, "w", encoding="utf-8", closefd=False),
        os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False),
    )
    sys.argv = argv
    sys.path.insert(0, str(Path(argv[0]).parent))
    runpy.run_path(argv[0], run_name="__main__")
