"""The room of the stores: five names, each fetched when it is first asked for."""

import subprocess
import sys

import pytest

from persona_share import stores


NAMES = ["Encrypted", "MemoryStore", "RedisStore", "SQLiteStore", "Shared"]


def test_it_offers_exactly_these_names():
    assert stores.__all__ == NAMES
    assert set(NAMES) <= set(dir(stores))
    assert [getattr(stores, name).__name__ for name in NAMES] == NAMES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'FileStore'"):
        _ = stores.FileStore


def test_no_library_is_loaded_before_it_is_needed():
    code = (
        "import sys; from persona_share.stores import MemoryStore, Encrypted, RedisStore;"
        "print([m for m in ('redis', 'cryptography', 'sqlite3') if m in sys.modules])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)  # noqa: S603 - our own
    assert said.strip() == "[]"


def test_the_contract_is_read_without_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None;"
        "from persona_share.testing.store_contract import StoreContract;"
        "print(len([n for n in dir(StoreContract) if n.startswith('test_')]) > 40)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)  # noqa: S603 - our own
    assert said.strip() == "True"
