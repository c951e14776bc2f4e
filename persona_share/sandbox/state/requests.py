"""A request as the handlers see it, and its caller."""

from collections.abc import Mapping
from typing import Literal

import attrs

from persona_share.sandbox.state.grants import Token
from persona_share.sandbox.state.organizations import ApiKey, Environment


@attrs.frozen
class Caller:
    """The credential of a request: API key, access token, or OAuth client."""

    kind: Literal["api_key", "access_token", "oauth_client"]
    identity: str
    #: The environment whose objects the caller sees.
    environment: Environment
    #: The environment whose ids the response headers name.
    reported: Environment
    #: The environment whose rate limit the request counts against.
    rate_limited: Environment
    key: ApiKey | None = None
    token: Token | None = None

    @property
    def organization_id(self) -> str:
        """Return the organization that acts, even on objects of another one."""
        if self.token is not None:
            return self.token.holder.organization_id
        return self.environment.organization_id

    def may(self, permission: str, object_id: str) -> bool:
        """Return whether the caller has this permission on this object."""
        if self.token is not None:
            return self.token.allows(permission, object_id)
        return self.key is not None and self.key.allows(permission)


@attrs.define
class Request:
    """One request with its whole body."""

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
        """Return the caller; set by authentication."""
        if self._caller is None:
            message = "the request is not authenticated yet"
            raise RuntimeError(message)
        return self._caller

    @caller.setter
    def caller(self, caller: Caller) -> None:
        """Set the caller."""
        self._caller = caller

    @property
    def known_caller(self) -> Caller | None:
        """Return the caller, or None before authentication."""
        return self._caller

    @property
    def object_id(self) -> str | None:
        """Return the id in the path, or None."""
        return next(iter(self.params.values()), None)
