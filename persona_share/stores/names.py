"""Names of keys: ``kind/HMAC``, the same in every process and revealing nothing."""

import hashlib
import hmac

from persona_share.model.secret import Secret


def naming_secret(api_key: Secret) -> bytes:
    """Derive the secret that names keys from the API key (HKDF, RFC 5869)."""
    extracted = hmac.digest(b"persona-share", api_key.reveal().encode(), hashlib.sha256)
    return hmac.digest(extracted, b"store-names\x01", hashlib.sha256)


def key_name(secret: bytes, kind: str, *parts: str) -> str:
    """Return the key of a record, such as ``scope/5f1c…``.

    The parts are joined with their lengths, so no two lists of parts collide.
    """
    digest = hmac.digest(secret, joined(kind, *parts), hashlib.sha256)
    return f"{kind}/{digest.hex()[:40]}"


def joined(*parts: str) -> bytes:
    """Join texts with their lengths."""
    encoded = (part.encode() for part in parts)
    return b"".join(len(each).to_bytes(4, "big") + each for each in encoded)
