"""The Compose example as two processes: the sandbox, and an application beside it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest


pytestmark = pytest.mark.slow  # each test starts programs


EXAMPLE = Path(__file__).parents[2] / "examples" / "sandbox"
PROGRAM = Path(sys.executable).with_name("persona-share")
COMPOSE = (EXAMPLE / "compose.yaml").read_text("utf-8")
#: Runs a program for which a name resolves to an address, as in a Compose network.
RESOLVER = """
import runpy, socket, sys
_, program, name, address = sys.argv
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **options: resolve(
    address if host == name else host, *more, **options
)
runpy.run_path(program, run_name="__main__")
"""


@pytest.fixture(scope="module")
def service():
    """Run the sandbox with the options of the example; yield its description."""
    (entry,) = re.findall(
        r"^ENTRYPOINT (.*)$", (EXAMPLE / "Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    _, *options = json.loads(entry.replace("8080", "0"))
    options += re.findall(r"^ +- (--\S+)$", COMPOSE, re.MULTILINE)
    command = [PROGRAM, *options, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()


@pytest.mark.parametrize(
    ("host", "address"),
    [("sandbox", "127.0.0.2"), ("127.0.0.2", "127.0.0.2"), ("localhost", "127.0.0.1")],
)
def test_application_reaches_the_sandbox_by_name_and_address(service, host, address):
    environment = dict(re.findall(r"^ +(PERSONA_\w+): (\S+)$", COMPOSE, re.MULTILINE))
    port = urlsplit(service["url"]).port
    base_url = environment["PERSONA_BASE_URL"]
    environment["PERSONA_BASE_URL"] = base_url.replace("sandbox:8080", f"{host}:{port}")
    environment["PERSONA_INSECURE_LOCAL"] = host

    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", RESOLVER, EXAMPLE / "check.py", host, address],
        check=False,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == f"{service['connections'][0]} active\n"


def test_urls_have_the_name_of_the_service(service):
    hosts = [urlsplit(service[name]).hostname for name in ("url", "files_url")]

    assert hosts == ["sandbox", "sandbox"]


def test_health_check_and_the_published_port_are_served(service):
    (path,) = re.findall(r"urlopen\('http://127.0.0.1:8080(\S+)'\)", COMPOSE)
    port = urlsplit(service["url"]).port

    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
        state = json.load(response)

    assert len(state["organizations"]) == 2
