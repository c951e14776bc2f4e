"""Addresses: where it listens, what it answers to, what it is called."""

import pytest

from persona_share.sandbox.hosts import Access, is_loopback, origin


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
    ],
)
def test_a_listening_address_has_a_url_that_reaches_it(host, url):
    assert origin(host, 80) == url


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.1.2.3", "::1"])
def test_these_can_only_be_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1.evil.example", "localhost.evil", "", "::"])
def test_these_could_be_another_machine(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("access", "header", "allowed"),
    [
        (Access(anywhere=True), None, False),
        (Access(), "127.0.0.1:80", True),
        (Access(), "192.0.2.1:80", False),
        (Access(anywhere=True), "192.0.2.1:80", True),
        (Access(anywhere=True), "other.example", False),
        (Access(anywhere=True, public_host="sandbox"), "SANDBOX:8080", True),
        (Access(anywhere=True, public_host="sandbox"), "sandbox.evil", False),
    ],
)
def test_a_host_header_is_served_when_it_names_the_sandbox(access, header, allowed):
    assert access.allows(header) is allowed


def test_the_public_host_stands_in_urls():
    assert Access(public_host="sandbox").origin("0.0.0.0", 80) == "http://sandbox:80"  # noqa: S104
