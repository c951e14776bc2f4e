"""Base URLs and file URLs: which are accepted, and which credentials go where."""

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.urls import (
    DEFAULT_BASE_URL,
    check_credential,
    is_loopback,
    origin_of,
    parse_base_url,
    parse_file_url,
)
from persona_share.errors import (
    ConfigurationError,
    InsecureOriginError,
    InvalidArgumentError,
    PersonaError,
)


def test_default_is_the_service_over_https():
    address = parse_base_url()
    assert address.url == "https://api.withpersona.com/api/v1" == DEFAULT_BASE_URL
    assert address.origin == "https://api.withpersona.com"
    assert address.secure
    assert not address.loopback


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("https://api.withpersona.com/api/v1/", "https://api.withpersona.com/api/v1"),
        ("https://withpersona.com/api/v1", "https://withpersona.com/api/v1"),
        ("HTTPS://API.withpersona.com:443/api/v1", DEFAULT_BASE_URL),
        ("https://127.0.0.1:8443/api/v1", "https://127.0.0.1:8443/api/v1"),
        ("https://[::1]:8443/api/v1", "https://[::1]:8443/api/v1"),
        ("https://localhost", "https://localhost"),
    ],
)
def test_accepted_base_url_is_normalized(text, base_url):
    assert parse_base_url(text).url == base_url


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/api/v1",
        "http://127.9.9.9/api/v1",
        "http://[::1]:8080/api/v1",
        "http://localhost:8080/api/v1",
    ],
)
def test_http_to_loopback_requires_insecure_local(text):
    with pytest.raises(InsecureOriginError, match="insecure_local=True"):
        parse_base_url(text)
    address = parse_base_url(text, insecure_local=True)
    assert address.loopback
    assert not address.secure
    assert address.url == text


@pytest.mark.parametrize(
    "text",
    [
        "http://api.withpersona.com/api/v1",
        "http://127.0.0.1.example.com/api/v1",
        "http://localhost.example.com/",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://127.1/",
    ],
)
def test_http_to_other_hosts_is_always_refused(text):
    with pytest.raises(InsecureOriginError):
        parse_base_url(text, insecure_local=True, allowed_hosts=["10.0.0.1"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.withpersona.com/api/v1",
        "//api.withpersona.com/api/v1",
        "ftp://api.withpersona.com/",
        "file:///etc/passwd",
        "https://",
        "https:///api/v1",
        "https://user@api.withpersona.com/",
        "https://user:pw@api.withpersona.com/",
        "https://api.withpersona.com/api/v1?x=1",
        "https://api.withpersona.com/api/v1?",
        "https://api.withpersona.com/api/v1#x",
        "https://api.withpersona.com#",
        "https://api.withpersona.com/api/../admin",
        "https://api.withpersona.com/./api",
        "https://api.withpersona.com/api//v1",
        "https://api.withpersona.com/%2e%2e/",
        "https://api.withpersona.com\\@evil.example/",
        "https://api.withpersona.com:99999/",
        "https://api.withpersona.com:x/",
        "https://api.with\tpersona.com/",
        "https://api.withpersona.com/\r\nX: y",
        "https://[::1/",
        "https://аpi.withpersona.com/",  # noqa: RUF001 — a Cyrillic letter
        "https://api.withpersona.com./",
        "https://evil.example/api/v1",
        "https://api.withpersona.com.evil.example/",
        "https://evilwithpersona.com/",
        "https://169.254.169.254/",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_base_url(text)
    assert not isinstance(caught.value, InsecureOriginError)
    assert "pw" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        "https://[::1]evil/api/v1",
        "https://evil[::1]/api/v1",
        "https://[::1]:8443x/",
        "https://[127.0.0.1]/",
    ],
)
def test_brackets_contain_an_ipv6_address_only(text):
    with pytest.raises(ConfigurationError):
        parse_base_url(text)


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/v2", "/api/v1/inquiries"])
def test_service_url_without_its_path_is_refused_and_the_error_names_it(path):
    with pytest.raises(ConfigurationError, match=DEFAULT_BASE_URL):
        parse_base_url(f"https://api.withpersona.com{path}")


def test_error_for_another_server_without_the_path_has_a_hint():
    bare = parse_base_url("http://127.0.0.1:8080", insecure_local=True)
    assert "http://127.0.0.1:8080 does not end in /api/v1" in bare.not_found_hint
    assert parse_base_url().not_found_hint == ""


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        (DEFAULT_BASE_URL, "api.withpersona.com:443"),
        ("https://127.0.0.1:8443/api/v1", "127.0.0.1:8443"),
        ("https://[::1]/api/v1", "[::1]:443"),
        ("https://[::1]:8443/api/v1", "[::1]:8443"),
    ],
)
def test_errors_show_the_host_and_the_port(text, peer):
    assert parse_base_url(text).peer == peer


def test_plain_http_and_sandbox_credentials_are_sent_to_an_allowed_host():
    text = "http://sandbox:8080/api/v1"
    for others in (False, True, ["other"]):
        with pytest.raises(InsecureOriginError, match=r"insecure_local=\['sandbox'\]"):
            parse_base_url(text, insecure_local=others)
    base_url = parse_base_url(text, insecure_local=["Sandbox"])
    assert base_url.local
    assert not base_url.loopback
    check_credential("Bearer localbox_1", base_url)


@pytest.mark.parametrize("value", [["http://sandbox"], [""], [7], ["a b"]])
def test_only_names_of_hosts_can_be_named(value):
    with pytest.raises(ConfigurationError, match="insecure_local"):
        parse_base_url("http://sandbox:8080", insecure_local=value)


def test_another_host_must_be_named():
    text = "https://persona.Corp.example:8443/api/v1"
    address = parse_base_url(text, allowed_hosts=["Persona.corp.example"])
    assert address.url == "https://persona.corp.example:8443/api/v1"
    with pytest.raises(ConfigurationError, match=r"persona\.corp\.example"):
        parse_base_url(text, allowed_hosts=["corp.example"])


@given(st.text(max_size=60))
def test_any_text_is_accepted_or_refused(text):
    for candidate in (text, f"https://{text}", f"https://api.withpersona.com/{text}"):
        try:
            address = parse_base_url(candidate)
        except PersonaError:
            continue
        assert address.secure
        assert address.loopback or address.host.endswith("withpersona.com")


def test_loopback_is_recognized_by_name_only():
    yes = ["127.0.0.1", "127.255.0.3", "::1", "localhost"]
    no = ["128.0.0.1", "::2", "localhost.localdomain", "example.com", ""]
    assert [is_loopback(host) for host in yes] == [True] * 4
    assert [is_loopback(host) for host in no] == [False] * 5


def test_sandbox_credential_is_sent_to_loopback_only():
    check_credential("Bearer localbox_1", parse_base_url("https://127.0.0.1"))
    check_credential("Bearer persona_sandbox_1", parse_base_url())
    check_credential("Bearer persona_production_1", parse_base_url())
    with pytest.raises(InsecureOriginError) as caught:
        check_credential("Bearer localbox_CANARY", parse_base_url())
    assert "CANARY" not in str(caught.value)


# ── Origins of any address ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "https://api.withpersona.com",
        "https://API.withpersona.com:443/api/v1/x?y#z",
        "HTTPS://user:password@api.withpersona.com/",
    ],
)
def test_one_origin_has_many_spellings(url):
    assert origin_of(url) == "https://api.withpersona.com:443"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.withpersona.com/",
        "https://api.withpersona.com:8443/",
        "https://api.withpersona.com./",
        "https://api.withpersona.com@evil.example/",
        "https://evil.example/https://api.withpersona.com/",
        "https://api.withpersona.com.evil.example/",
        "//api.withpersona.com/",
        "ftp://api.withpersona.com/",
        "https://api.withpersona.com:x/",
        "https://[::1/",
        "",
    ],
)
def test_similar_url_has_another_origin_or_none(url):
    assert origin_of(url) != origin_of("https://api.withpersona.com")


# ── Files ────────────────────────────────────────────────────────────────────


URL = "https://files.withpersona.com/front.png?access_token=s3cret"


def test_file_of_the_service_has_a_host_and_a_target():
    place = parse_file_url(URL)

    assert place.base_url.origin == "https://files.withpersona.com"
    assert place.target == "/front.png?access_token=s3cret"
    assert "s3cret" not in repr(place)


def test_further_host_must_be_allowed():
    url = "https://files.example.com/a"

    assert (
        parse_file_url(url, hosts=["Files.Example.com"]).base_url.host
        == "files.example.com"
    )
    with pytest.raises(InvalidArgumentError, match="not allowed"):
        parse_file_url(url)


def test_sandbox_may_have_its_files_on_this_machine():
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
def test_other_file_urls_are_refused_without_repeating_them(url):
    with pytest.raises(InvalidArgumentError) as caught:
        parse_file_url(url, hosts=["files.example.com"])

    assert caught.value.__context__ is None
    assert "evil" not in str(caught.value)


def test_loopback_is_not_reached_from_an_address_that_only_looks_like_it():
    with pytest.raises(InvalidArgumentError):
        parse_file_url("http://127.0.0.1.evil.example/a", insecure_local=True)
