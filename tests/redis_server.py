"""A real Redis for tests: started on a free port of this machine, gone at the end."""

import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


BINARY = shutil.which("redis-server") or shutil.which("valkey-server")


def dies_with_us(signal_name):
    """Return the command that ends a server when the test run is killed, if any."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal_name, "--"] if setpriv else []


class RedisServer:
    """A server without a disk, and the switches of its failures.

    The first option may be a file of settings, which a sentinel needs.
    """

    def __init__(self, *options):
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process = None
        once = Retry(NoBackoff(), 0)
        self.client = redis.Redis(
            port=self.port, protocol=2, retry=once, socket_timeout=5
        )
        self.start()

    def start(self):
        """Start it empty and return when it accepts connections."""
        files = [each for each in self._options[:1] if not each.startswith("--")]
        command = [*dies_with_us("KILL"), BINARY, *files]
        command += ["--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        command += ["--enable-debug-command", "yes", *self._options[len(files) :]]
        self._process = subprocess.Popen(  # noqa: S603 - our own server
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            if self._process.poll() is not None:
                raise AssertionError("redis-server does not start")
            try:
                self.client.ping()
            except redis.AuthenticationError:  # a kind of the next one
                return
            except redis.ConnectionError:
                time.sleep(0.01)
            else:
                return
        self.stop()
        raise AssertionError("redis-server does not respond")

    def freeze(self):
        """Let it stand still, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self):
        """Kill it."""
        self.client.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port():
    """Return a port that is free now, as is the one 10,000 above it.

    A member of a cluster talks to the others there. Both are below the ports that the
    system gives to clients (32,768 and up), so a server that restarts finds its port
    free. Random, as other test runs of this machine look for ports at the same time.
    """
    while True:
        port = 11_000 + secrets.randbelow(11_000)
        try:
            for each in (port, port + 10_000):
                with socket.socket() as there:
                    there.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port


@pytest.fixture(scope="session")
def one_redis():
    """Return a server for all tests that leave it as they found it."""
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis_server(one_redis):
    """Return an empty server that lives on."""
    one_redis.client.flushall()
    one_redis.client.script_flush()
    return one_redis


@pytest.fixture
def own_redis():
    """Return a function that starts a server of its own for a test, with options."""
    servers = []

    def start(*options):
        servers.append(RedisServer(*options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def open_files():
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
