"""A real PostgreSQL for tests: started on a free port of this machine, gone at the end.

PostgreSQL refuses to run as root, so root starts it as the user of Debian's package.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.redis_server import dies_with_us, free_port


USER = "postgres"


def _binaries():
    """Return the folder with initdb and postgres, or None. Debian has it off PATH."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "postgres").exists()), None)


BINARIES = _binaries()
#: Speed over durability: nothing outlives a test.
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


#: An empty database is copied ten times faster than it is made; `make clean` removes it.
CACHE = Path(__file__).parent.parent / ".pytest_cache"


def _copy(data, target):
    """Copy a folder with the owners of its files."""
    command = ["cp", "-a", data, target]
    subprocess.run(command, check=True)  # noqa: S603 - of this system


class PostgresServer:
    """A server with an empty database, and the switches of its failures."""

    def __init__(self, *settings):
        self._settings = (*SETTINGS, *settings)
        # Another user has to reach it, so pytest's private folders will not do.
        self.folder = Path(tempfile.mkdtemp(prefix="persona-share-postgres-"))
        self._data = self.folder / "data"
        self._user = {}
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
            self._user = {"user": USER, "group": USER, "extra_groups": ()}
        self._process = None
        self._create_data()
        self.port = free_port()
        self.start()

    @property
    def url(self):
        """The address of the empty database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"

    def start(self):
        """Start it with its existing data and return when it accepts connections."""
        command = [*dies_with_us("QUIT"), BINARIES / "postgres", "-D", self._data]
        command += ["-p", str(self.port)]
        command += ["-h", "127.0.0.1", "-k", self.folder]
        command += [part for each in self._settings for part in ("-c", each)]
        self._process = subprocess.Popen(  # noqa: S603 - our own server
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            start_new_session=True,
            **self._user,
        )
        for _ in range(1000):
            if self._process.poll() is not None:
                raise AssertionError("postgres does not start")
            ready = [BINARIES / "pg_isready", "-q", "-h", "127.0.0.1"]
            if not subprocess.call([*ready, "-p", str(self.port)]):  # noqa: S603
                return
            time.sleep(0.01)
        self.stop()
        raise AssertionError("postgres does not respond")

    def sql(self, statements):
        """Run statements as the superuser and return what they print."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url]
        return self._run(*command, "-c", statements).strip()

    def clear(self):
        """End all other sessions and drop everything."""
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid();"
            "COMMIT; DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        )

    def freeze(self):
        """Stop all of its processes, with their connections open."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        for each in self._backends():
            with contextlib.suppress(ProcessLookupError):  # it may just have ended
                os.kill(each, signal.SIGSTOP)

    def thaw(self):
        """Let it go on."""
        for each in self._backends():
            with contextlib.suppress(ProcessLookupError):  # it may just have ended
                os.kill(each, signal.SIGCONT)
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self):
        """End it at once, as after a power cut."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def remove(self):
        """End it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def _create_data(self):
        """Make an empty database, or copy the first one that was made."""
        created = CACHE / f"postgres-{BINARIES.parent.name}"
        if created.exists():
            _copy(created, self._data)
            return
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "--no-sync")
        CACHE.mkdir(exist_ok=True)
        ours = CACHE / self.folder.name
        _copy(self._data, ours)
        try:
            ours.rename(created)
        except OSError:  # another worker was first
            shutil.rmtree(ours)

    def _backends(self):
        # Each backend is the leader of a process group of its own.
        tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return map(int, tasks.read_text().split()) if tasks.exists() else ()

    def _run(self, name, *arguments):
        path = BINARIES / name
        command = [path if path.exists() else name, *arguments]
        return subprocess.run(  # noqa: S603 - a program of the same package
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
            **self._user,
        ).stdout


@pytest.fixture(scope="session")
def one_postgres():
    """Return a server for all tests that leave it as they found it."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def postgres_server(one_postgres):
    """Return an empty server that lives on."""
    one_postgres.clear()
    return one_postgres


@pytest.fixture
def own_postgres():
    """Return a function that starts a server of its own for a test, with settings."""
    servers = []

    def start(*settings):
        servers.append(PostgresServer(*settings))
        return servers[-1]

    yield start
    for server in servers:
        server.remove()
