"""Files that only this user may read, and those that are refused."""

import os
import stat
from contextlib import contextmanager

import pytest

from persona_share.errors import StoreRefusedError, StoreUnavailableError
from persona_share.stores._file import (
    identity,
    move_aside,
    network_file_system,
    private_file,
)


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_t12_file_and_directories_are_for_this_user_alone(tmp_path, mask):
    path = tmp_path / "new" / "newer" / "tokens.db"
    with umask(mask):
        private_file(path)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert mode(path.parent.parent) == 0o700


def test_a_umask_that_takes_everything_leaves_us_our_file(tmp_path):
    with umask(0o777):
        private_file(tmp_path / "tokens.db")
    assert mode(tmp_path / "tokens.db") == 0o600


def test_a_file_that_is_there_stays_as_it_is(tmp_path):
    path = tmp_path / "tokens.db"
    first = private_file(path)
    path.write_bytes(b"content")
    assert private_file(path) == first == identity(path)
    assert path.read_bytes() == b"content"


def test_t12_a_symbolic_link_is_refused(tmp_path):
    path, target = tmp_path / "tokens.db", tmp_path / "target"
    target.touch(0o600)
    path.symlink_to(target)
    with pytest.raises(StoreRefusedError, match="symbolic link"):
        private_file(path)


def test_t12_a_dangling_symbolic_link_makes_no_file(tmp_path):
    path, target = tmp_path / "tokens.db", tmp_path / "target"
    path.symlink_to(target)
    with pytest.raises(StoreRefusedError, match="symbolic link"):
        private_file(path)
    assert not target.exists()


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_t12_a_file_that_others_may_use_is_refused(tmp_path, loose):
    path = tmp_path / "tokens.db"
    path.touch()
    path.chmod(loose)
    with pytest.raises(StoreRefusedError, match="others may"):
        private_file(path)


def test_t12_so_is_a_loose_file_beside_it(tmp_path):
    path, journal = tmp_path / "tokens.db", tmp_path / "tokens.db-journal"
    private_file(path)
    journal.touch()
    journal.chmod(0o644)
    with pytest.raises(StoreRefusedError, match="db-journal"):
        private_file(path, [journal])


@pytest.mark.needs("root")  # nobody else can give a file away
def test_t12_somebody_elses_file_is_refused(tmp_path):
    path = tmp_path / "tokens.db"
    path.touch(0o600)
    os.chown(path, 12_345, 12_345)
    with pytest.raises(StoreRefusedError, match="another user"):
        private_file(path)


def test_what_is_no_file_is_refused(tmp_path):
    path = tmp_path / "tokens.db"
    path.mkdir(0o700)
    with pytest.raises(StoreRefusedError, match="not a file"):
        private_file(path)


@pytest.mark.parametrize(("bits", "refused"), [(0o777, True), (0o1777, False)])
def test_t12_a_directory_that_anybody_may_write_to_needs_the_sticky_bit(
    tmp_path, bits, refused
):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(bits)
    if refused:
        with pytest.raises(StoreRefusedError, match="anybody may write"):
            private_file(shared / "tokens.db")
        assert list(shared.iterdir()) == []
    else:
        private_file(shared / "tokens.db")


def test_f102_what_the_system_will_not_make_is_unavailable(tmp_path):
    (tmp_path / "no directory").touch()
    with pytest.raises(StoreUnavailableError, match="ENOTDIR"):
        private_file(tmp_path / "no directory" / "tokens.db")


def test_what_is_moved_aside_never_takes_another_files_place(tmp_path):
    path = tmp_path / "tokens.db"
    beside = tmp_path / "tokens.db-journal"
    for number in range(3):
        path.write_text(str(number))
        path.chmod(0o644)
        beside.write_text("journal")
        aside = move_aside(path, "corrupt-now", [beside])
        assert aside.read_text() == str(number)
        assert mode(aside) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "tokens.db.corrupt-now",
        "tokens.db.corrupt-now-2",
        "tokens.db.corrupt-now-2-journal",
        "tokens.db.corrupt-now-3",
        "tokens.db.corrupt-now-3-journal",
        "tokens.db.corrupt-now-journal",
    ]


def test_f106_a_network_file_system_is_known_by_its_mount(tmp_path):
    mounts = tmp_path / "mountinfo"
    share = tmp_path / "the share"
    share.mkdir()
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"36 22 0:32 / {str(share).replace(' ', chr(92) + '040')} rw - nfs4 host:/ rw\n"
    )
    assert network_file_system(share / "deep" / "tokens.db", mounts) == "nfs4"
    assert network_file_system(tmp_path / "tokens.db", mounts) is None
    assert network_file_system(tmp_path, tmp_path / "missing") is None
    mounts.write_text("nonsense\n")
    assert network_file_system(tmp_path, mounts) is None
