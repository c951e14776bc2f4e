"""Keys and assertions, with which organizations authenticate to each other (RFC 7523).

Each side signs a short-lived JWT for every request, and gives its public key to the
other side as a JWK (RFC 7517). Only ES256 and RS256 are accepted.
"""

import base64
import binascii
import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from persona_share.errors import (
    ConfigurationError,
    MissingExtraError,
    PersonaError,
)
from persona_share.model.ids import is_id
from persona_share.model.secret import Secret
from persona_share.partner.input_files import read_file
from persona_share.ports import Runtime


#: The key type and JWS algorithm of each accepted algorithm.
ALGORITHMS: Final[Mapping[str, str]] = {"ES256": "EC", "RS256": "RSA"}
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The maximum lifetime of an assertion, in seconds.
MAX_LIFETIME: Final = 300
#: The tolerated difference between the clocks of two organizations, in seconds.
CLOCK_SKEW: Final = 30
#: The lifetime of new assertions, in seconds: enough for one request and clock skew.
_LIFETIME: Final = 60
_MAX_BYTES: Final = 8 * 1024
_MAX_KEY_FILE: Final = 64 * 1024
_RSA_BITS: Final = 2048
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
_TEXT: Final = re.compile(r"[\x21-\x7e]{1,128}")

Jwk = Mapping[str, Any]
A = TypeVar("A")
T = TypeVar("T")


def result_of(work: Callable[[A], T], given: A) -> T | PersonaError:
    """Return the result of a function, or its error without any frames.

    Use it if ``given`` can contain a private key, also by mistake: delete ``given``, then
    raise the error, so that no frame in an error report contains the key.
    """
    try:
        return work(given)
    except PersonaError as error:
        error.__cause__ = error.__context__ = None  # they have frames as well
        return error.with_traceback(None)


@attrs.frozen(eq=False, repr=False)
class PublicKey:
    """One public key of another organization."""

    id: str | None
    algorithm: str
    _key: Any

    @classmethod
    def from_jwk(cls, jwk: Jwk) -> "PublicKey":
        """Read a JWK.

        Raises:
            ConfigurationError: it is private, of another kind, or too weak.
        """
        found = result_of(cls._from_jwk, jwk)
        del jwk
        if isinstance(found, PersonaError):
            raise found
        return found

    @classmethod
    def _from_jwk(cls, jwk: Jwk) -> "PublicKey":
        given: object = jwk
        if not isinstance(given, Mapping):
            message = (
                f"a public key must be a JWK (a mapping), not {type(given).__name__}"
            )
            raise ConfigurationError(message)
        if _PRIVATE & set(jwk):
            message = "a public key was expected, but this JWK contains a private key"
            advice = "Exchange public keys only; consider this key compromised."
            raise ConfigurationError(message, advice=advice)
        if jwk.get("use", "sig") != "sig":
            message = "the key is not for signatures ('use' must be 'sig')"
            raise ConfigurationError(message)
        key_id = jwk.get("kid")
        if key_id is not None and not _is_text(key_id):
            message = "the 'kid' of a key must be 1 to 128 printable characters"
            raise ConfigurationError(message)
        key = _parsed(jwk)
        if key is None:
            message = "the key cannot be read as a JWK for ES256 or RS256"
            raise ConfigurationError(message)
        algorithm = _algorithm_of(key)
        if jwk.get("alg", algorithm) != algorithm:
            message = f"the 'alg' of a key contradicts the key, which is {algorithm}"
            raise ConfigurationError(message)
        return cls(key_id, algorithm, key)

    def verify(self, token: str) -> Mapping[str, Any] | None:
        """Return the claims if this key signed the token, else None."""
        jwt = _joserfc("jwt")
        with contextlib.suppress(
            Exception
        ):  # every failure means that this key did not sign it
            decoded = jwt.decode(token, self._key, algorithms=[self.algorithm])
            claims: Mapping[str, Any] = decoded.claims
            return claims
        return None

    def __repr__(self) -> str:
        return f"<PublicKey {self.id or 'without kid'}, {self.algorithm}>"


class SigningKey:
    """The private key of this organization; it signs assertions and is never printed.

    ``key`` is a private JWK or PEM as text, or the path of a file with one that only
    this user can read.

    Raises:
        ConfigurationError: it is not a private key for ES256 or RS256, or other users
            can read its file.
    """

    def __init__(self, key: "str | Secret | Path | SigningKey") -> None:
        found = result_of(_private_key, key)
        del key
        if isinstance(found, PersonaError):
            raise found
        self._key: Any = found[0]
        self.algorithm: str = found[1]
        self.id: str = _key_id(self._key)

    @classmethod
    def generate(cls, algorithm: str = "ES256") -> "SigningKey":
        """Create a new key for ES256 (P-256) or RS256 (3072 bits)."""
        if algorithm not in ALGORITHMS:
            message = f"the algorithm must be one of {', '.join(ALGORITHMS)}"
            raise ConfigurationError(message)
        jwk = _joserfc("jwk")
        key = (
            jwk.ECKey.generate_key("P-256")
            if algorithm == "ES256"
            else jwk.RSAKey.generate_key(3072)
        )
        return cls(Secret(json.dumps(key.as_dict(private=True))))

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public key as a JWK, for the other organization."""
        public: dict[str, Any] = self._key.as_dict(private=False)
        return {**public, "kid": self.id, "alg": self.algorithm, "use": "sig"}

    def private_jwk(self) -> Secret:
        """Return the key as the text of a JWK, for a file with mode 0600."""
        jwk = {**self._key.as_dict(private=True), "kid": self.id}
        return Secret(json.dumps({**jwk, "alg": self.algorithm, "use": "sig"}))

    def __repr__(self) -> str:
        return f"<SigningKey {self.id}, {self.algorithm}>"


def signed_assertion(
    key: SigningKey, issuer: str, audience: str, runtime: Runtime
) -> Secret:
    """Return a new signed assertion for one request to this audience."""
    issued = int(runtime.clock.wall().timestamp())
    claims = {
        "iss": issuer,
        "sub": issuer,
        "aud": audience,
        "jti": runtime.new_key(),
        "iat": issued,
        "exp": issued + _LIFETIME,
    }
    header = {"alg": key.algorithm, "typ": "JWT", "kid": key.id}
    jwt = _joserfc("jwt")
    private = key._key  # noqa: SLF001  # private, so that no other code can sign with it
    return Secret(jwt.encode(header, claims, private, [key.algorithm]))


@attrs.frozen
class Assertion:
    """A verified assertion: its issuer, its ``jti``, and its expiry."""

    issuer: str
    id: str
    expires_at: float


@attrs.frozen
class InvalidAssertion:
    """Why an assertion was refused."""

    reason: str


def public_keys(keys: Iterable[Jwk | PublicKey]) -> tuple[PublicKey, ...]:
    """Read the public keys of one organization; at least one is needed.

    Callers use `result_of`, as the keys can be private by mistake.
    """
    given: object = keys
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        message = f"keys must be a list of JWKs, not {type(given).__name__}"
        advice = "Write keys=[…], also for one JWK."
        raise ConfigurationError(message, advice=advice)
    read = tuple(
        key if isinstance(key, PublicKey) else PublicKey.from_jwk(key) for key in keys
    )
    if not read:
        message = "an organization without a public key cannot authenticate"
        raise ConfigurationError(message)
    return read


def verify(
    token: str,
    keys_of: Callable[[str], Sequence[PublicKey] | None],
    *,
    audience: str,
    now: float,
) -> Assertion | InvalidAssertion:
    """Verify an assertion, except that its ``jti`` is unused.

    ``keys_of`` returns the keys of an organization, or None for one that is unknown.
    ``now`` is the time in seconds since 1970. Source: RFC 7523 §3.
    """
    parts = token.split(".") if len(token) <= _MAX_BYTES else []
    header, unverified = _json_part(parts, 0), _json_part(parts, 1)
    if header is None or unverified is None or len(parts) != 3:  # noqa: PLR2004  # a compact JWS has 3
        return InvalidAssertion("assertion_malformed")
    issuer = claimed_issuer(token)
    keys = None if issuer is None else keys_of(issuer)
    if issuer is None or keys is None:
        return InvalidAssertion("client_unknown")
    claims = _signed_claims(token, header, keys)
    if isinstance(claims, str):
        return InvalidAssertion(claims)
    if (problem := _claims_problem(claims, issuer, audience, now)) is not None:
        return InvalidAssertion(problem)
    return Assertion(issuer, claims["jti"], float(claims["exp"]))


def claimed_issuer(token: str) -> str | None:
    """Return the issuer that an assertion names, unverified, if it can be an id."""
    if len(token) > _MAX_BYTES:
        return None
    issuer = (_json_part(token.split("."), 1) or {}).get("iss")
    return issuer if isinstance(issuer, str) and is_id(issuer) else None


def load_public_keys(path: Path) -> list[Jwk]:
    """Read a file with one public JWK or a set of them (``{"keys": […]}``).

    Callers use `result_of`, as the keys can be private by mistake.
    """
    try:
        found = json.loads(read_file(path, _MAX_KEY_FILE)[0])
    except (OSError, ValueError) as error:
        reason = f": {error.strerror}" if isinstance(error, OSError) else ""
        message = f"{path} cannot be read as a JWK or a JWK set{reason}"
        raise ConfigurationError(message) from None
    keys = found.get("keys", [found]) if isinstance(found, dict) else None
    if not isinstance(keys, list):
        message = f"{path} contains neither a JWK nor a JWK set"
        raise ConfigurationError(message)
    return keys


def _header_problem(header: Mapping[str, Any]) -> str | None:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        return "algorithm_not_allowed"
    if "crit" in header or "b64" in header:
        return "assertion_malformed"
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        return "assertion_malformed"
    return None


def _signed_claims(
    token: str, header: Mapping[str, Any], keys: Sequence[PublicKey]
) -> Mapping[str, Any] | str:
    """Return the claims that one of these keys signed, or the reason of a refusal."""
    if (problem := _header_problem(header)) is not None:
        return problem
    key_id, algorithm = header.get("kid"), header["alg"]
    for key in keys:
        if key.algorithm != algorithm or (key_id and key.id and key.id != key_id):
            continue
        if (claims := key.verify(token)) is not None:
            return claims
    return "signature_invalid"


def _claims_problem(
    claims: Mapping[str, Any], issuer: str, audience: str, now: float
) -> str | None:
    """Return the reason to refuse the claims of a valid signature, or None."""
    aud = claims.get("aud")
    checks = (
        (claims.get("iss") == claims.get("sub") == issuer, "subject_mismatch"),
        (aud in (audience, [audience]), "audience_mismatch"),
        (_is_text(claims.get("jti")), "jti_missing"),
    )
    for holds, problem in checks:
        if not holds:
            return problem
    return _time_problem(claims, now)


def _time_problem(claims: Mapping[str, Any], now: float) -> str | None:
    expires = _instant(claims.get("exp"))
    starts = [claims[name] for name in ("iat", "nbf") if name in claims]
    instants = [_instant(each) for each in starts]
    if expires is None or None in instants:
        return "assertion_malformed"
    if expires <= now - CLOCK_SKEW:
        return "assertion_expired"
    if any(each is not None and each > now + CLOCK_SKEW for each in instants):
        return "assertion_not_yet_valid"
    if expires > now + MAX_LIFETIME + CLOCK_SKEW:
        return "lifetime_too_long"
    return None


def _instant(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Also refuses NaN and implausible times.
    return float(value) if 0 <= value < 1e11 else None  # noqa: PLR2004  # the year 5138


def _json_part(parts: Sequence[str], index: int) -> Mapping[str, Any] | None:
    try:
        text = parts[index]
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        found = json.loads(raw)
    except (ValueError, IndexError, binascii.Error, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _TEXT.fullmatch(value) is not None


def _private_key(key: "str | Secret | Path | SigningKey") -> tuple[Any, str]:
    """Return a private key and its algorithm."""
    what, advice = "the key", ""
    if isinstance(key, Path):
        what = f"the content of {key}"
    else:
        advice = "To read a file, pass pathlib.Path('partner.key')."
    found = _imported_private(
        key.private_jwk() if isinstance(key, SigningKey) else _secret_of(key)
    )
    if found is None:
        message = f"{what} is not a private key (JWK or PEM)"
        raise ConfigurationError(message, advice=advice)
    return found, _algorithm_of(found)


def _secret_of(key: object) -> Secret:
    if isinstance(key, Path):
        return _private_file(key.expanduser())
    if isinstance(key, Secret):
        return key
    if isinstance(key, str):
        return Secret(key)
    message = f"a private key must be text or a Path, not {type(key).__name__}"
    raise ConfigurationError(message)


def _private_file(path: Path) -> Secret:
    try:
        text, found = read_file(path, _MAX_KEY_FILE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        message = f"the private key {path} cannot be read: {reason}"
        raise ConfigurationError(message) from None
    if hasattr(os, "geteuid") and found.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
        message = f"other users can read or replace the private key {path}"
        raise ConfigurationError(message, advice=f"Run: chmod 600 {path}")
    return Secret(text)


def _imported_private(secret: Secret) -> Any:
    """Return the private key in a text, or None."""
    key = _parsed(_jwk_of(secret)) or _parsed(secret)
    return key if key is not None and key.is_private else None


def _jwk_of(secret: Secret) -> Mapping[str, Any] | None:
    with contextlib.suppress(ValueError):
        found = json.loads(secret.reveal())
        return found if isinstance(found, dict) else None
    return None


def _parsed(data: "Secret | Mapping[str, Any] | None") -> Any:
    """Return the key or None; errors of joserfc are dropped, as they may contain it."""
    jwk = _joserfc("jwk")
    if data is None:
        return None
    with contextlib.suppress(Exception):
        if not isinstance(data, Secret):
            return jwk.import_key(dict(data))
    for kind in ALGORITHMS.values():
        with contextlib.suppress(Exception):
            if isinstance(data, Secret):
                return jwk.import_key(data.reveal(), kind)
    return None


def _algorithm_of(key: Any) -> str:
    # The length of a modulus in a JWK proves nothing: it may begin with zeros.
    match key.as_dict(private=False):
        case {"kty": "EC", "crv": "P-256"}:
            return "ES256"
        case {"kty": "RSA"} if key.raw_value.key_size >= _RSA_BITS:
            return "RS256"
    message = "the key must be EC P-256 (ES256) or RSA of 2048 bits or more (RS256)"
    raise ConfigurationError(message)


def _key_id(key: Any) -> str:
    """Return the key's own id, or its thumbprint (RFC 7638)."""
    found = key.as_dict(private=False).get("kid")
    return str(found) if _is_text(found) else str(key.thumbprint())


def _joserfc(module: str) -> Any:
    try:
        return import_module(f"joserfc.{module}")
    except ImportError as error:
        raise MissingExtraError.of(error, "persona_share.partner", "m2m") from None
