"""No test reaches beyond this machine."""

import socket

import pytest


def test_connection_to_another_machine_is_refused_before_it_starts():
    # 192.0.2.0/24 is documentation space (RFC 5737): no machine has such an address.
    with (
        socket.socket() as far,
        pytest.raises(AssertionError, match=r"tried to connect to 192\.0\.2\.1"),
    ):
        far.connect(("192.0.2.1", 9))


def test_connection_to_this_machine_is_allowed():
    with socket.create_server(("127.0.0.1", 0)) as here, socket.socket() as near:
        near.connect(here.getsockname())

        assert near.getpeername() == here.getsockname()
