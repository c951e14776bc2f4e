"""The audit log: complete lines from several processes, on disk before a code leaves."""

import asyncio
import fcntl
import json
import os
import stat
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from persona_share.errors import ConfigurationError, StoreUnavailableError
from persona_share.partner import AuditLog, Decision, read_audit
from tests.partner.conftest import START


pytestmark = pytest.mark.asyncio


def decision(number=1, **changes):
    values = {
        "time": START,
        "decision": "refused",
        "reason": "no_consent",
        "partner": "org_1",
        "scope": (f"inquiry.read:inq_{number}",),
    }
    return Decision(**(values | changes))


async def test_every_audit_line_has_every_field(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    await log.append(decision())
    await log.append(decision(decision="issued", expires_at=datetime.now(UTC)))  # noqa: TID251
    first, second = read_audit(log.path)
    assert list(first) == list(second)
    assert first["time"] == START.isoformat()


@pytest.mark.parametrize("umask", [0, 0o277, 0o777])
async def test_new_file_is_for_its_owner_with_any_umask(tmp_path, umask):
    log = AuditLog(tmp_path / "audit.jsonl")
    before = os.umask(umask)
    try:
        await log.append(decision())
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o666])
async def test_file_that_others_can_read_gets_mode_0600(tmp_path, caplog, mode):
    log = AuditLog(tmp_path / "audit.jsonl")
    log.path.touch()
    log.path.chmod(mode)
    await log.append(decision())
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert "its mode becomes 0600" in caplog.text


async def test_file_that_is_a_link_is_refused_and_unchanged(tmp_path):
    (tmp_path / "elsewhere").touch(0o644)
    log = AuditLog(tmp_path / "audit.jsonl")
    log.path.symlink_to("elsewhere")
    with pytest.raises(ConfigurationError, match="is a symbolic link"):
        log.check()
    with pytest.raises(StoreUnavailableError, match="is a symbolic link"):
        await log.append(decision())
    assert (tmp_path / "elsewhere").stat().st_size == 0


async def test_lines_of_many_tasks_are_all_there_and_in_order(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    await asyncio.gather(*(log.append(decision(n)) for n in range(500)))
    scopes = [each["scope"][0] for each in read_audit(log.path)]
    assert scopes == [f"inquiry.read:inq_{n}" for n in range(500)]


async def test_audit_file_can_be_renamed_at_any_time(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    await log.append(decision(1))
    log.path.rename(tmp_path / "audit.1")
    await log.append(decision(2))
    assert len(list(read_audit(tmp_path / "audit.1"))) == 1
    assert len(list(read_audit(log.path))) == 1


async def test_line_is_in_the_new_file_when_the_old_one_is_removed_meanwhile(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    await log.append(decision(1))
    with log.path.open("rb") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        appended = asyncio.create_task(log.append(decision(2)))
        await asyncio.to_thread(until_waited_for, old)
        log.path.unlink()
    await appended
    assert [each["scope"] for each in read_audit(log.path)] == [["inquiry.read:inq_2"]]


def until_waited_for(file):
    """Return when the kernel lists a lock that waits for the one of this file."""
    inode = f":{os.fstat(file.fileno()).st_ino} "
    for _ in range(1_000):
        locks = Path("/proc/locks").read_text().splitlines()
        if any("->" in each and inode in each for each in locks):
            return
        time.sleep(0.01)  # another thread's turn
    pytest.fail("no thread waits for the lock")


async def test_line_that_is_being_written_is_not_read(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    await log.append(decision())
    with log.path.open("ab") as file:
        file.write(b'{"time": "2026')
    assert [each["reason"] for each in read_audit(log.path)] == ["no_consent"]


async def test_path_that_no_file_can_have_is_an_error_instead_of_a_wait():
    log = AuditLog("audit\0.jsonl")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        log.check()
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        await asyncio.wait_for(log.append(decision()), 10)


@pytest.mark.parametrize(
    "torn", [b"{", b'{"time": "2026', b"x" * 5_000, b"x" * 64 * 1024, b"x" * 200_000]
)
async def test_incomplete_line_is_terminated_by_the_next_one(tmp_path, torn):
    log = AuditLog(tmp_path / "audit.jsonl")
    await log.append(decision(1))
    with log.path.open("ab") as file:
        file.write(torn)
    await log.append(decision(2))
    first, note, second = read_audit(log.path)
    assert (first["scope"], second["scope"]) == (
        ["inquiry.read:inq_1"],
        ["inquiry.read:inq_2"],
    )
    assert note == {
        "decision": "failed",
        "reason": "interrupted",
        "torn_bytes": len(torn),
    }


async def test_failed_write_raises(tmp_path):
    log = AuditLog(tmp_path / "missing" / "audit.jsonl")
    with pytest.raises(StoreUnavailableError) as caught:
        await log.append(decision())
    assert "No such file" in str(caught.value)
    with pytest.raises(ConfigurationError):
        log.check()


@pytest.mark.parametrize("path", [os.devnull])
async def test_device_file_is_refused_as_audit_log(path):
    with pytest.raises(StoreUnavailableError):
        await AuditLog(path).append(decision())


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from persona_share.partner import AuditLog, Decision

async def main():
    log = AuditLog(sys.argv[1])
    for number in range(100_000):
        scope = tuple(f"inquiry.read:inq_{sys.argv[2]}_{number}_{n}" for n in range(200))
        await log.append(Decision(
            time=datetime.now(UTC), decision="issued", reason="agreed",
            partner="org_1", scope=scope))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_lines_survive_writers_that_are_killed(tmp_path):
    path = tmp_path / "audit.jsonl"
    acknowledged = {}

    async def writer(name, lines):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WRITER,
            str(path),
            name,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(lines):
            acknowledged[name] = int(await process.stdout.readline())
        process.kill()
        await process.communicate()

    await asyncio.gather(*(writer(f"w{n}", 30 + 10 * n) for n in range(4)))
    await AuditLog(path).append(decision())
    found = {}
    for line in path.read_bytes().splitlines():
        entry = json.loads(line)
        if entry["reason"] == "agreed":
            assert len(entry["scope"]) == 200
            _, name, number, _ = entry["scope"][0].split("_")
            found.setdefault(name, []).append(int(number))
    for name, last in acknowledged.items():
        assert found[name][: last + 1] == list(range(last + 1))
