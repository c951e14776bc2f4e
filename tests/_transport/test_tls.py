"""TLS and proxies."""

import asyncio
import datetime as dt
import ipaddress
import ssl

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from persona_share._protocol.urls import parse_base_url
from persona_share._transport.tls import (
    Proxy,
    checked_context,
    default_context,
    proxy_for,
    unused_proxy,
)
from persona_share.errors import (
    ConfigurationError,
    ConnectError,
    InsecureOriginError,
    Phase,
    ProxyError,
    TLSVerificationError,
)
from persona_share.model.secret import Secret
from tests import servers
from tests.servers import (
    RawServer,
    http_response,
    new_request,
    respond_with,
    send_and_close,
)


OFFICIAL = parse_base_url()
LOCAL = parse_base_url("https://127.0.0.1/api/v1")
PASSWORD = "CANARY-proxy-password"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Create a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    return context


@pytest.mark.asyncio
async def test_f7_untrusted_certificate_is_refused_before_anything_is_sent(
    sender_to, tls
):
    server = RawServer(respond_with(http_response()), tls=tls)
    async with server, sender_to(server.url) as sender:
        with pytest.raises(TLSVerificationError) as caught:
            await sender.send(new_request())
    assert caught.value.phase is Phase.NOT_SENT
    assert not caught.value.retryable
    assert server.received == b""


@pytest.mark.asyncio
async def test_borrowed_connector_that_verifies_nothing_weakens_nothing(tls):
    server = RawServer(respond_with(http_response()), tls=tls)
    async with server:
        lax = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))
        async with lax, servers.sender_to(server.url, session=lax) as sender:
            theirs = await lax.get(server.url)  # there is a connection to reuse now
            await theirs.read()
            before = server.received
            with pytest.raises(TLSVerificationError):
                await sender.send(new_request())
            assert server.received == before


@pytest.mark.asyncio
async def test_context_with_a_custom_authority_works(sender_to, tls, authority):
    own = ssl.create_default_context(cafile=str(authority))
    server = RawServer(respond_with(http_response()), tls=tls)
    async with server, sender_to(server.url, ssl_context=own) as sender:
        assert (await sender.send(new_request())).status == 200


@pytest.mark.asyncio
async def test_f8_server_with_an_old_protocol_is_not_tried_again(sender_to):
    async def old(connection):
        await connection.send(bytes.fromhex("15030100020246"))  # protocol_version
        await asyncio.Event().wait()

    server = RawServer(old)
    async with server, sender_to(f"https://127.0.0.1:{server.port}") as sender:
        with pytest.raises(ConnectError, match="TLS handshake with") as caught:
            await sender.send(new_request())
    assert caught.value.phase is Phase.NOT_SENT
    assert not caught.value.retryable


@pytest.mark.parametrize("value", [False, True, "ca.pem", 1])
def test_something_else_than_a_context_is_refused(value):
    with pytest.raises(ConfigurationError, match=r"ssl\.SSLContext"):
        checked_context(value, OFFICIAL)


def test_default_context_verifies_and_is_new_enough():
    context = default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("name_too", [True, False])
def test_context_that_verifies_nothing_is_for_loopback_only(name_too):
    context = ssl.create_default_context()
    context.check_hostname = False
    if name_too:
        context.verify_mode = ssl.CERT_NONE
    assert checked_context(context, LOCAL) is context
    with pytest.raises(InsecureOriginError):
        checked_context(context, OFFICIAL)


@pytest.mark.parametrize(
    "oldest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.MINIMUM_SUPPORTED]
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # that old
def test_context_of_an_old_protocol_is_for_loopback_only(oldest):
    context = ssl.create_default_context()
    context.minimum_version = oldest
    assert checked_context(context, LOCAL) is context
    with pytest.raises(InsecureOriginError, match="older than TLS"):
        checked_context(context, OFFICIAL)


# ── Proxies ─────────────────────────────────────────────────────────────────────


def test_proxy_s_password_is_kept_apart_from_its_address():
    proxy = proxy_for(OFFICIAL, Secret(f"http://user:{PASSWORD}@proxy.example:3128"))
    assert str(proxy.url) == "http://proxy.example:3128"
    assert proxy.headers is not None
    assert proxy.headers["Proxy-Authorization"].startswith("Basic ")
    assert PASSWORD not in repr(proxy)
    assert "Basic" not in repr(proxy)
    assert "Basic" not in repr(proxy.headers)


ENVIRONMENT = (
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
)


@pytest.fixture
def environment(monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


def test_environment_s_proxy_is_used_only_when_it_is_trusted(environment):
    environment("HTTPS_PROXY", f"http://user:{PASSWORD}@proxy.example:3128")
    assert proxy_for(OFFICIAL) == Proxy()
    trusted = proxy_for(OFFICIAL, trust_env=True)
    assert trusted.peer == "proxy.example:3128"
    assert trusted.headers is not None


def test_no_proxy_names_hosts_that_are_reached_directly(environment):
    environment("ALL_PROXY", "proxy.example:3128")
    assert proxy_for(OFFICIAL, trust_env=True).peer == "proxy.example:3128"
    environment("NO_PROXY", "withpersona.com")
    assert proxy_for(OFFICIAL, trust_env=True) == Proxy()


def test_proxy_of_the_environment_that_is_not_used_is_mentioned(environment):
    assert unused_proxy(OFFICIAL, Proxy()) == ""
    environment("HTTPS_PROXY", f"http://user:{PASSWORD}@proxy.example:3128")
    assert "trust_env=True" in unused_proxy(OFFICIAL, Proxy())
    assert PASSWORD not in unused_proxy(OFFICIAL, Proxy())
    assert unused_proxy(OFFICIAL, proxy_for(OFFICIAL, trust_env=True)) == ""
    assert unused_proxy(LOCAL, Proxy()) == ""


def test_given_proxy_wins_over_the_environment(environment):
    environment("HTTPS_PROXY", "http://other.example:1")
    found = proxy_for(OFFICIAL, "http://proxy.example:3128", trust_env=True)
    assert found.peer == "proxy.example:3128"


def test_proxy_of_the_environment_that_cannot_be_used_is_named_as_such(environment):
    environment("HTTPS_PROXY", "socks5://proxy.example:1080")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY"):
        proxy_for(OFFICIAL, trust_env=True)


def test_no_proxy_is_no_proxy():
    assert proxy_for(OFFICIAL, None) == Proxy()


@pytest.mark.parametrize(
    "text", ["", "proxy:3128", "socks5://proxy", "http://", "http://[x"]
)
def test_invalid_proxy_url_is_refused(text):
    with pytest.raises(ConfigurationError) as caught:
        proxy_for(OFFICIAL, text)
    assert caught.value.__context__ is None


def test_plaintext_request_does_not_use_a_proxy():
    local = parse_base_url("http://127.0.0.1:8080", insecure_local=True)
    with pytest.raises(InsecureOriginError):
        proxy_for(local, "http://proxy.example")


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "again"), [(407, False), (503, True)])
async def test_f6_proxy_that_refuses_is_reported_without_its_password(
    sender_to, status, again
):
    refusal = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    async with RawServer(send_and_close(refusal)) as proxy:
        url = proxy.url.replace("http://", f"http://user:{PASSWORD}@")
        async with sender_to("https://127.0.0.1:1", proxy=url) as sender:
            with pytest.raises(ProxyError) as caught:
                await sender.send(new_request())
    assert proxy.received.startswith(b"CONNECT 127.0.0.1:1 ")
    assert b"Proxy-Authorization: Basic " in proxy.received
    assert b"CANARY" not in proxy.received  # neither ours nor, in the clear, its own
    assert caught.value.phase is Phase.NOT_SENT
    assert caught.value.retryable is again
    assert PASSWORD not in str(caught.value)


@pytest.mark.asyncio
async def test_missing_proxy_and_missing_server_raise_different_errors(sender_to):
    sender = sender_to("https://127.0.0.1:1", proxy="http://127.0.0.1:1")
    async with sender as opened:
        with pytest.raises(ProxyError):
            await opened.send(new_request())
