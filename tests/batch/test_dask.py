"""Jobs on a Dask cluster of four processes, one of which is killed in the middle."""

import os
import signal
import time
import warnings

import pytest

from persona_share.batch import FetchJob, shard
from persona_share.sandbox import Sandbox
from tests.batch import dask_jobs
from tests.cli.conftest import running_sandbox  # noqa: F401  # the fixture


LONG = float(os.environ.get("SOAK_MINUTES", "0")) >= 5
OBJECTS = 20_000 if LONG else 1_200
GROUP = 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of Dask's own
]


@pytest.fixture
def cluster(running_sandbox, tmp_path, monkeypatch):  # noqa: F811  # the fixture
    """Four worker processes with the credentials in their environment."""
    sandbox: Sandbox = running_sandbox
    settings = {
        "PERSONA_API_KEY": sandbox.destination.api_key,
        "PERSONA_BASE_URL": sandbox.url,
        "TEST_SOURCE_KEY": sandbox.source.api_key,
        "TEST_ORGANIZATION": sandbox.destination.id,
        "TEST_STORE": str(tmp_path / "checkpoints.db"),
        "TEST_FOLDER": str(tmp_path / "handled"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "handled").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dask.distributed import Client, LocalCluster  # noqa: PLC0415  # slow

        with (
            LocalCluster(
                n_workers=4, threads_per_worker=1, dashboard_address=None
            ) as made,
            Client(made) as client,
        ):
            yield client


def test_every_object_is_acknowledged_once_when_a_worker_is_killed(
    cluster,
    running_sandbox,  # noqa: F811  # the fixture
    tmp_path,
):
    sandbox, handled = running_sandbox, tmp_path / "handled"
    ids = [sandbox.add_inquiry().id for _ in range(OBJECTS)]
    jobs = [
        FetchJob(
            ids=part,
            open_manager=dask_jobs.open_manager,
            open_store=dask_jobs.open_store,
            handle=dask_jobs.handle,
            objects_per_token=GROUP,
        )
        for part in shard(ids, 4)
    ]
    futures = cluster.map(dask_jobs.run, jobs, pure=False)
    end = time.monotonic() + 120  # noqa: TID251  # real processes are waited for
    while not (pids := [int(each.name) for each in handled.iterdir()]):
        assert time.monotonic() < end  # noqa: TID251  # as above
        time.sleep(0.02)
    os.kill(pids[0], signal.SIGKILL)
    reports = cluster.gather(futures)

    assert sum(each.acknowledged for each in reports) == OBJECTS
    assert [each.failures for each in reports] == [()] * 4
    seen = [x for each in handled.iterdir() for x in each.read_text().split()]
    assert set(seen) == set(ids)
    assert sandbox.log.count(status=429) == 0
    # One code for a group, and those of the groups that were in the killed worker.
    assert sandbox.log.codes_issued <= OBJECTS // GROUP + 9 + 1
