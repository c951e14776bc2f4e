"""What travels between the layers: a call that came in, and the reply to it."""

from collections.abc import Mapping
from typing import Literal

import attrs

from persona_share.sandbox.grants import Token
from persona_share.sandbox.organizations import ApiKey, Environment


@attrs.frozen
class Caller:
    """Who calls: an API key, an access token, or an OAuth client with an assertion."""

    kind: Literal["api_key", "access_token", "oauth_client"]
    identity: str
    #: Whose objects the caller sees.
    environment: Environment
    #: Whose ids the answer's headers name.
    named: Environment
    #: Whose rate limit the call counts in.
    charged: Environment
    key: ApiKey | None = None
    token: Token | None = None

    @property
    def organization_id(self) -> str:
        """Answer the organization that acts, whoever owns the objects."""
        if self.token is not None:
            return self.token.holder.organization_id
        return self.environment.organization_id

    def may(self, permission: str, object_id: str) -> bool:
        """Answer whether the caller has this permission on this object."""
        if self.token is not None:
            return self.token.allows(permission, object_id)
        return self.key is not None and self.key.allows(permission)


@attrs.define
class Call:
    """One request, read whole."""

    method: str
    path: str
    operation: str
    params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    arrived_at: float
    request_id: str = ""
    inflection: str = "kebab"
    version: str = ""
    _caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Answer who calls; known from the second layer on."""
        if self._caller is None:
            message = "the caller is not known yet"
            raise RuntimeError(message)
        return self._caller

    @caller.setter
    def caller(self, caller: Caller) -> None:
        """Note who calls."""
        self._caller = caller

    @property
    def known_caller(self) -> Caller | None:
        """Answer who calls, or None while nobody knows."""
        return self._caller

    @property
    def object_id(self) -> str | None:
        """Answer the id in the path, if there is one."""
        return next(iter(self.params.values()), None)


@attrs.frozen
class Reply:
    """An answer as it is kept and sent: status, body, and headers of its own."""

    status: int
    body: bytes
    headers: Mapping[str, str | None] = attrs.field(factory=dict)
    content_type: str = "application/json"
    request_id: str = ""
    at: float = 0.0
    replayed: bool = False
