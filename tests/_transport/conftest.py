"""A sender and the servers in front of it."""

import pytest

from tests import servers


@pytest.fixture
def sender_to():
    """Return a function that opens a sender to a server of this machine."""
    return servers.sender_to
