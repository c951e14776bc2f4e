"""Files are fetched from a few hosts, by https, and nothing about them is shown (T26)."""

import pytest

from persona_share._protocol.urls import parse_file_url
from persona_share.errors import InvalidArgumentError


URL = "https://files.withpersona.com/front.png?access_token=s3cret"


def test_t26_a_file_of_the_service_has_a_host_and_a_target():
    place = parse_file_url(URL)

    assert place.base_url.origin == "https://files.withpersona.com"
    assert place.target == "/front.png?access_token=s3cret"
    assert "s3cret" not in repr(place)


def test_t26_a_further_host_must_be_allowed():
    url = "https://files.example.com/a"

    assert (
        parse_file_url(url, hosts=["Files.Example.com"]).base_url.host
        == "files.example.com"
    )
    with pytest.raises(InvalidArgumentError, match="not allowed"):
        parse_file_url(url)


def test_t26_a_sandbox_may_have_its_files_on_this_machine():
    url = "http://127.0.0.2:8080/a?b=c"

    assert (
        parse_file_url(url, insecure_local=True).base_url.origin
        == "http://127.0.0.2:8080"
    )
    with pytest.raises(InvalidArgumentError):
        parse_file_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.withpersona.com/a",
        "https://files.withpersona.com:8443/a",
        "https://files.withpersona.com:99999/a",
        "https://files.withpersona.com./a",
        "https://files.withpersona.com.evil.example/a",
        "https://evil.example/files.withpersona.com",
        "https://api.withpersona.com/api/v1/inquiries",
        "https://user@files.withpersona.com/a",
        "https://files.withpersona.com@evil.example/a",
        "https://files.withpersona.com\\@evil.example/a",
        "https://files.withpersona.com",
        "https://files.withpersona.com/../a",
        "https://files.withpersona.com/a#b",
        "https://files.withpersona.com/a b",
        "https://files.withpersona.com/a\r\nX: y",
        "https://\u0444iles.withpersona.com/a",
        "//files.withpersona.com/a",
        "/a",
        "file:///etc/passwd",
        "ftp://files.withpersona.com/a",
        "https:///a",
        "https://[::1/a",
        "",
        "a" * 10_000,
        None,
        7,
    ],
)
def test_t26_no_other_address_is_fetched_and_none_is_repeated(url):
    with pytest.raises(InvalidArgumentError) as caught:
        parse_file_url(url, hosts=["files.example.com"])

    assert caught.value.__context__ is None
    assert "evil" not in str(caught.value)


def test_t26_loopback_is_not_reached_from_an_address_that_only_looks_like_it():
    with pytest.raises(InvalidArgumentError):
        parse_file_url("http://127.0.0.1.evil.example/a", insecure_local=True)
