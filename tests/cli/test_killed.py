"""kill -9 at any moment: nothing is lost, and nothing is written twice.

`make soak-batch` kills fifty times, `make test` five.
"""

import json
import os
import signal
import subprocess

import pytest

from persona_share._transport.runtime import seeded_random
from tests.cli.test_exit_codes import wait_until


KILLS = 50 if "SOAK_MINUTES" in os.environ else 5
PEOPLE = 40


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_fetch_continues_where_it_stopped(
    cli, sandbox, as_source, tmp_path, seed
):
    output, ids = tmp_path / "people.jsonl", cli.inquiries(PEOPLE)
    sandbox.latency = 0.1
    command = ("fetch", *ids, "--output", str(output), "--concurrency", "4")
    process = cli.start(*command, env=as_source, stderr=subprocess.DEVNULL)
    enough = 1 + int(seeded_random(seed)() * (PEOPLE - 10))
    wait_until(lambda: output.exists() and output.read_bytes().count(b"\n") >= enough)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    before = output.read_bytes()
    if seed % 2:  # a write that the kill tore
        output.write_bytes(before[: before.rfind(b"\n") + 1] + b'{"type":"inqu')
    sandbox.latency = 0.0
    again = cli(*command, "--json", env=as_source)

    assert again.code == 0, again.err
    lines = output.read_text().splitlines()
    written = [json.loads(line)["id"] for line in lines]
    assert sorted(written) == sorted(ids)
    # Rows that were not acknowledged before the kill are written anew, none twice.
    assert again.value["fetched"] + again.value["skipped"] == PEOPLE
