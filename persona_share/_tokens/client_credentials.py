"""The machine grant: a signed assertion takes the place of a code (RFC 7523)."""

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    MissingExtraError,
)
from persona_share.model.ids import checked_id
from persona_share.model.secret import Secret, as_secret
from persona_share.ports import Runtime


if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

ALGORITHMS: Final = ("RS256", "ES256")
ASSERTION_LIFETIME: Final = 300


class ClientCredentials:
    """A code source that needs no partner: an OAuth client with a private key.

    ``private_key`` is PEM text. Its tokens live about 900 s and carry bare permissions
    such as ``inquiry.read``; ask for sessions of those. Needs the extra ``m2m``.
    Source: POST /oauth/token, grant ``client_credentials``; RFC 7523 §2.2.

    Raises:
        MissingExtraError: joserfc is not installed.
        ConfigurationError: the key does not fit the algorithm.
    """

    def __init__(
        self,
        client_id: str,
        private_key: str | Secret,
        *,
        algorithm: str = "RS256",
        key_id: str | None = None,
    ) -> None:
        self.client_id: str = checked_id(client_id, "client_id")
        if algorithm not in ALGORITHMS:
            message = f"algorithm must be one of {', '.join(ALGORITHMS)}"
            raise ConfigurationError(message)
        self._algorithm = algorithm
        self._header: dict[str, Any] = {"alg": algorithm, "typ": "JWT"}
        if key_id is not None:
            self._header["kid"] = key_id
        self._key = _imported(as_secret(private_key), algorithm)

    def assertion(self, audience: str, runtime: Runtime) -> Secret:
        """Return a new signed assertion for this token endpoint, valid for 5 minutes."""
        issued = int(runtime.clock.wall().timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": runtime.new_key(),
            "iat": issued,
            "exp": issued + ASSERTION_LIFETIME,
        }
        jwt = import_module("joserfc.jwt")
        signed = jwt.encode(
            self._header, claims, self._key, algorithms=[self._algorithm]
        )
        return Secret(signed)

    async def __call__(self, scope: object, /) -> str:  # noqa: ARG002  # of the protocol
        """Refuse: a manager asks for an assertion instead."""
        message = "ClientCredentials is passed to a manager as codes=, not called"
        raise InvalidArgumentError(message)

    def __repr__(self) -> str:
        return f"<ClientCredentials of {self.client_id}, {self._algorithm}>"


def _imported(private_key: Secret, algorithm: str) -> "RSAKey | ECKey":
    try:
        jwk = import_module("joserfc.jwk")
    except ImportError as error:
        raise MissingExtraError.of(error, "ClientCredentials", "m2m") from None
    kind = jwk.RSAKey if algorithm == "RS256" else jwk.ECKey
    key: RSAKey | ECKey | None = None
    with contextlib.suppress(Exception):  # whatever it says may show the key
        key = kind.import_key(private_key.reveal())
    if key is None or not key.is_private:
        message = f"private_key is no private key in PEM form for {algorithm}"
        raise ConfigurationError(message)
    return key
