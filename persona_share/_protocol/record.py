"""Names that show nothing, and records that say whose they are: what stores hold.

A record repeats the name that it was written under; one that is found under another
name is not believed (T14).
"""

import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import attrs
import orjson

from persona_share.errors import InvalidScopeError
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret


SCHEMA: Final = 1
LARGEST: Final = 64 * 1024


@attrs.frozen
class TokenRecord:
    """A token in a store: its value, what it was granted and for how long."""

    token: Secret
    scope: Scope
    asked: Scope
    lifetime: float


@attrs.frozen
class CodeRecord:
    """A code in a store, how long it lives, and whether it is a signed assertion."""

    secret: Secret
    hint: Scope | None
    life: float
    machine: bool


def naming_secret(api_key: Secret) -> bytes:
    """Derive what names are made with from the API key (RFC 5869, one block)."""
    extracted = hmac.digest(b"persona-share", api_key.reveal().encode(), hashlib.sha256)
    return hmac.digest(extracted, b"store-names\x01", hashlib.sha256)


def name_of(secret: bytes, *parts: str) -> str:
    """Answer the name of a key: the same in every process, and telling nothing.

    The parts are joined with their lengths, so that no two lists of parts are alike.
    """
    told = b"".join(
        len(part.encode()).to_bytes(4, "big") + part.encode()
        for part in (str(SCHEMA), *parts)
    )
    return hmac.digest(secret, told, hashlib.sha256).hex()[:40]


def token_blob(name: str, record: TokenRecord) -> bytes:
    """Write a token under a name."""
    return orjson.dumps(
        {
            "name": name,
            "token": record.token.reveal(),
            "scope": str(record.scope),
            "asked": str(record.asked),
            "lifetime": record.lifetime,
        }
    )


def code_blob(name: str, record: CodeRecord) -> bytes:
    """Write a code under a name."""
    return orjson.dumps(
        {
            "name": name,
            "code": record.secret.reveal(),
            "hint": None if record.hint is None else str(record.hint),
            "life": record.life,
            "machine": record.machine,
        }
    )


def read_token(name: str, blob: bytes) -> TokenRecord | None:
    """Read a token, or answer None for what is not one, or not of this name."""
    match _values(name, blob):
        case {
            "token": str(token),
            "scope": str(scope),
            "asked": str(asked),
            "lifetime": float() | int() as lifetime,
        } if lifetime > 0 and token:
            with suppress(InvalidScopeError):
                return TokenRecord(
                    Secret(token),
                    Scope.from_text(scope),
                    Scope.from_text(asked),
                    lifetime,
                )
        case _:
            pass
    return None


def token_in(blob: bytes) -> TokenRecord | None:
    """Read a token whatever name it was written under: to be shown, not to be used."""
    with suppress(ValueError):
        values = orjson.loads(blob)
        if isinstance(values, dict):
            return read_token(str(values.get("name")), blob)
    return None


def read_code(name: str, blob: bytes) -> CodeRecord | None:
    """Read a code, or answer None for what is not one, or not of this name."""
    match _values(name, blob):
        case {
            "code": str(code),
            "hint": str() | None as hint,
            "life": float() | int() as life,
            "machine": bool(machine),
        } if life > 0:
            with suppress(InvalidScopeError):
                known = None if hint is None else Scope.from_text(hint)
                return CodeRecord(Secret(code), known, life, machine)
        case _:
            pass
    return None


def _values(name: str, blob: bytes) -> Mapping[str, Any]:
    if len(blob) > LARGEST:
        return {}
    with suppress(ValueError):
        values = orjson.loads(blob)
        if isinstance(values, dict) and values.get("name") == name:
            return values
    return {}
