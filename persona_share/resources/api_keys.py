"""API keys, the logs of their requests, and rate limits."""

from datetime import timedelta
from typing import Unpack

from persona_share._protocol.routes import ApiKeyRoutes, ApiLogRoutes, RateLimitRoutes
from persona_share.model.api_key import ApiKey, ApiLog, RateLimit
from persona_share.resources.collection import Collection, Listing, Retrievable
from persona_share.resources.params import (
    ApiKeyChanges,
    ChangedApiKey,
    NewApiKey,
    meta_body,
    seconds_of,
)
from persona_share.resources.query_options import (
    CallOptions,
    FieldsPageOptions,
    ListOptions,
    RetrieveOptions,
)


class ApiKeys(Retrievable[ApiKey], kind=ApiKey, routes=ApiKeyRoutes):
    """The endpoints of ``/api-keys``."""

    __slots__ = ()

    def list(
        self, *, name: str | None = None, **options: Unpack[ListOptions]
    ) -> Listing[ApiKey]:
        """List API keys, newest first; their values are left out."""
        return self._list(ApiKeyRoutes.LIST, filters={"name": name}, options=options)

    async def create(self, **values: Unpack[NewApiKey]) -> ApiKey:
        """Create an API key; ``value`` of the result is the key itself."""
        return await self._send(
            ApiKeyRoutes.CREATE, values=values, attributes=ApiKeyChanges
        )

    async def update(self, api_key_id: str, **values: Unpack[ChangedApiKey]) -> ApiKey:
        """Update an API key."""
        return await self._send(
            ApiKeyRoutes.UPDATE, api_key_id, values=values, attributes=ApiKeyChanges
        )

    async def expire(
        self,
        api_key_id: str,
        *,
        expires_in: timedelta,
        **options: Unpack[RetrieveOptions],
    ) -> ApiKey:
        """Expire an API key after a duration, which may be zero."""
        seconds = seconds_of("expires_in", expires_in, at_least=timedelta())
        body = meta_body(expires_in_seconds=seconds)
        return await self._one(
            ApiKeyRoutes.EXPIRE, api_key_id, body=body, options=options
        )

    async def clone(
        self, api_key_id: str, **options: Unpack[RetrieveOptions]
    ) -> ApiKey:
        """Copy an API key; the result is the new one, with its ``value``."""
        return await self._one(
            ApiKeyRoutes.CLONE, api_key_id, options=options, same_object=False
        )


# ── Logs and rate limits ─────────────────────────────────────────────────────


class ApiLogs(Retrievable[ApiLog], kind=ApiLog, routes=ApiLogRoutes):
    """The endpoints of ``/api-logs``; the service keeps logs for two weeks at most."""

    __slots__ = ()

    def list(self, **options: Unpack[FieldsPageOptions]) -> Listing[ApiLog]:
        """List requests, newest first."""
        return self._list(ApiLogRoutes.LIST, options=options)


class RateLimits(Collection[RateLimit], kind=RateLimit, routes=RateLimitRoutes):
    """The endpoint ``/rate-limits``."""

    __slots__ = ()

    def list(self, **options: Unpack[CallOptions]) -> Listing[RateLimit]:
        """List the limits that requests count against."""
        return self._list(RateLimitRoutes.LIST, options=options)
