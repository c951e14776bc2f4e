"""F7: certificates that are not trusted, or belong to another host."""

import datetime as dt
import ssl
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from persona_share.errors import Phase, TLSVerificationError
from tests.faults.test_network import CREATE, READ, calling, phases
from tests.servers import RawServer, http_response, respond_with


NOW = dt.datetime.now(dt.UTC)  # noqa: TID251 — certificates know the real time alone
DAY = dt.timedelta(days=1)
HERE = x509.IPAddress(ip_address("127.0.0.1"))
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(key, *, issuer=None, signer=None, host=HERE, ends=NOW + DAY):
    """Return a certificate; without an issuer it is an authority's own.

    It has every extension that `ssl.VERIFY_X509_STRICT`, the default since Python 3.13,
    asks for (RFC 5280 §4.2.1).
    """
    authority = issuer is None
    signing = (signer or key).public_key()
    usage = dict.fromkeys(USAGES, False)
    usage |= {"key_cert_sign": authority, "digital_signature": not authority}
    return (
        x509.CertificateBuilder()
        .subject_name(named("authority" if authority else "server"))
        .issuer_name(issuer.subject if issuer else named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False
        )
        .sign(signer or key, hashes.SHA256())
    )


def written(path, *parts):
    pem = serialization.Encoding.PEM
    with path.open("wb") as file:
        for part in parts:
            if isinstance(part, x509.Certificate):
                file.write(part.public_bytes(pem))
            else:
                form = serialization.PrivateFormat.PKCS8
                none = serialization.NoEncryption()
                file.write(part.private_bytes(pem, form, none))
    return str(path)


def an_authority():
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate(key), key


BAD = {
    "expired": {"ends": NOW - DAY},
    "of another host": {"host": x509.DNSName("elsewhere.example")},
    "of another address": {"host": x509.IPAddress(ip_address("127.0.0.2"))},
    "signed by itself": {"issuer": None, "signer": None},
    "of an unknown authority": {"unknown": True},
}


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", [READ, CREATE], ids=lambda each: each[0])
@pytest.mark.parametrize("flaw", BAD.values(), ids=BAD)
async def test_f07_bad_certificate_is_refused_without_a_retry(
    env, tmp_path, flaw, operation
):
    trusted, trusted_key = an_authority()
    issuer, signer = an_authority() if "unknown" in flaw else (trusted, trusted_key)
    key = ec.generate_private_key(ec.SECP256R1())
    options = {"issuer": issuer, "signer": signer} | flaw
    options.pop("unknown", None)
    chain = written(tmp_path / "server.pem", key, certificate(key, **options))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)
    trust = ssl.create_default_context(cafile=written(tmp_path / "ca.pem", trusted))
    server = RawServer(respond_with(http_response()), tls=tls)
    async with server, env.client_of(server, ssl_context=trust) as client:
        with pytest.raises(TLSVerificationError) as caught:
            await calling(client, operation)
    assert phases(caught.value) == [Phase.NOT_SENT]
    assert not caught.value.retryable
    assert server.received == b""
    assert env.clock.slept == []


@pytest.mark.asyncio
async def test_certificate_of_a_custom_authority_is_accepted(env, tmp_path):
    authority, signer = an_authority()
    key = ec.generate_private_key(ec.SECP256R1())
    good = certificate(key, issuer=authority, signer=signer)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(written(tmp_path / "server.pem", key, good))
    trust = ssl.create_default_context(cafile=written(tmp_path / "ca.pem", authority))
    server = RawServer(respond_with(http_response(200, b'{"data":null}')), tls=tls)
    async with server, env.client_of(server, ssl_context=trust) as client:
        assert (await calling(client, READ)).status == 200
