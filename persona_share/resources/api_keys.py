"""API keys of the organization; they need the permission ``api_key.…``."""

from datetime import timedelta
from typing import Unpack

from persona_share._protocol.routes import api_keys as routes
from persona_share.model.api_key import ApiKey
from persona_share.resources.collection import Retrievable
from persona_share.resources.listing import Listing
from persona_share.resources.params import (
    ApiKeyChanges,
    ChangedApiKey,
    NewApiKey,
    meta_body,
    seconds_of,
)
from persona_share.resources.query_options import ListOptions, RetrieveOptions


class ApiKeys(Retrievable[ApiKey], kind=ApiKey, routes=routes):
    """The endpoints of ``/api-keys``."""

    __slots__ = ()

    def list(
        self, *, name: str | None = None, **options: Unpack[ListOptions]
    ) -> Listing[ApiKey]:
        """List API keys, newest first; their values are left out."""
        return self._list(routes.LIST, filters={"name": name}, options=options)

    async def create(self, **values: Unpack[NewApiKey]) -> ApiKey:
        """Create an API key; ``value`` of the result is the key itself."""
        return await self._send(routes.CREATE, values=values, attributes=ApiKeyChanges)

    async def update(self, api_key_id: str, **values: Unpack[ChangedApiKey]) -> ApiKey:
        """Update an API key."""
        return await self._send(
            routes.UPDATE, api_key_id, values=values, attributes=ApiKeyChanges
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
        return await self._one(routes.EXPIRE, api_key_id, body=body, options=options)

    async def clone(
        self, api_key_id: str, **options: Unpack[RetrieveOptions]
    ) -> ApiKey:
        """Copy an API key; the result is the new one, with its ``value``."""
        return await self._one(
            routes.CLONE, api_key_id, options=options, same_object=False
        )
