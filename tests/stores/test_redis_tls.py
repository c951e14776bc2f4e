"""Redis behind TLS: its certificate is checked (T23, T4)."""

import datetime as dt
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from persona_share.errors import StoreUnavailableError
from persona_share.stores import RedisStore
from persona_share.testing import fake_runtime
from tests.redis_server import free_port


@pytest.fixture
def certificate(tmp_path):
    """Make a key and a certificate for 127.0.0.1 that nobody signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
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
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return tmp_path


@pytest.mark.asyncio
async def test_t23_only_a_certificate_that_is_trusted_will_do(own_redis, certificate):
    port = free_port()
    own_redis(
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate / "cert.pem")),
        *("--tls-key-file", str(certificate / "key.pem")),
    )
    address = f"rediss://127.0.0.1:{port}"
    stranger = RedisStore(address, plaintext=True)
    with pytest.raises(StoreUnavailableError):
        await stranger.open(fake_runtime())
    await stranger.close()
    store = RedisStore(
        f"{address}?ssl_ca_certs={certificate / 'cert.pem'}", plaintext=True
    )
    await store.open(fake_runtime())
    assert await store.adopt("key", remaining=60.0, blob=b"token") == 1
    await store.close()
