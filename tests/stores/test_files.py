"""Files are private; volumes of Kubernetes are tightened, not refused."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from persona_share._transport.private_files import make_folder
from persona_share.errors import ConfigurationError, StoreRefusedError
from persona_share.stores.sqlite import SQLiteStore, network_file_system, path_of


ROOT = pytest.mark.needs("root")
OTHER_UID = 65_534


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def open_store(path):
    async def open_and_close():
        store = SQLiteStore(path)
        await store.open()
        await store.aclose()

    asyncio.run(open_and_close())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


def test_new_file_and_folders_are_private(tmp_path):
    path = tmp_path / "new" / "folder" / "store.db"
    before = os.umask(0)
    try:
        open_store(path)
    finally:
        os.umask(before)

    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


@pytest.mark.parametrize("below", ["", "below"])
@pytest.mark.parametrize("is_link", [True, False])
def test_folder_is_not_made_when_something_else_has_its_name(tmp_path, is_link, below):
    path = tmp_path / "taken"
    if is_link:
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.touch()
    with pytest.raises(NotADirectoryError):
        make_folder(path / below)

    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("given", [0o660, 0o640, 0o664, 0o604], ids=oct)
def test_file_that_a_volume_made_readable_is_tightened(path, caplog, given):
    open_store(path)
    path.chmod(given)
    journal = path.with_name("store.db-journal")
    journal.touch()
    journal.chmod(given)
    open_store(path)

    assert mode(path) == mode(journal) == 0o600
    assert "its mode is now 0600" in caplog.text


@pytest.mark.parametrize("given", [0o606, 0o666], ids=oct)
def test_file_writable_by_all_users_is_refused(path, given):
    open_store(path)
    path.chmod(given)

    with pytest.raises(StoreRefusedError, match="is writable by all users"):
        open_store(path)


def test_own_writable_directory_is_tightened(path, caplog):
    path.parent.chmod(0o2777)
    open_store(path)

    assert not mode(path.parent) & 0o027
    assert "its mode was tightened" in caplog.text


def test_directory_with_a_sticky_bit_is_accepted(path, caplog):
    path.parent.chmod(0o1777)
    open_store(path)

    assert mode(path.parent) == 0o1777
    assert caplog.text == ""


@ROOT
def test_empty_dir_of_another_user_is_accepted_with_a_warning(path, caplog):
    path.parent.chmod(0o777)
    os.chown(path.parent, OTHER_UID, OTHER_UID)
    open_store(path)

    assert mode(path.parent) == 0o777
    assert "is writable by all users" in caplog.text


@ROOT
def test_file_of_another_user_is_refused(path):
    open_store(path)
    os.chown(path, OTHER_UID, OTHER_UID)

    with pytest.raises(StoreRefusedError, match="another user"):
        open_store(path)


def test_symbolic_link_and_folder_are_refused(path, tmp_path):
    target = tmp_path / "target"
    target.touch(0o600)
    path.symlink_to(target)
    with pytest.raises(StoreRefusedError, match="symbolic link"):
        open_store(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreRefusedError, match="not a file"):
        open_store(path)


def test_home_directory_is_expanded():
    assert path_of("~/store.db") == Path.home() / "store.db"
    assert path_of(Path("~/store.db")) == Path.home() / "store.db"
    assert path_of("store.db") == Path.cwd() / "store.db"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (None, "a str or a pathlib.Path"),
        (b"store.db", "a str or a pathlib.Path"),
        ("", "a str or a pathlib.Path"),
        ("a\0b", "a str or a pathlib.Path"),
        (":memory:", r"Use MemoryStore\(\)"),
        ("~no-such-user-at-all/store.db", "home directory"),
    ],
    ids=repr,
)
def test_value_that_is_not_a_path_is_refused(wrong, words):
    with pytest.raises(ConfigurationError, match=words):
        path_of(wrong)


def test_f106_network_file_system_is_recognized(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw,relatime 0 0\nserver:/ {tmp_path} nfs4 rw,vers=4.2 0 0\n"
    )

    assert network_file_system(tmp_path / "store.db", mounts) == "nfs4"
    assert network_file_system(Path("/"), mounts) is None
    assert network_file_system(Path("/"), tmp_path / "missing") is None
