"""Share tokens: offers to redeem one object over a connection."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Unpack

from persona_share._protocol.routes import share_tokens as routes
from persona_share.errors import (
    ConflictError,
    InvalidArgumentError,
    OutcomeUnknownError,
    UnprocessableError,
)
from persona_share.model.ids import checked_id
from persona_share.model.share_token import (
    Direction,
    Redemption,
    ShareToken,
    ShareTokenStatus,
)
from persona_share.resources.bodies import NO_BODY, Body, attributes_body
from persona_share.resources.collection import Collection
from persona_share.resources.durations import seconds_of
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import (
    Fields,
    Filter,
    RetrieveOptions,
    filtering,
    shaping,
)
from persona_share.resources.redeeming import ended, settled, waited


#: A share token lives that long (page "Create a share token").
SHORTEST_LIFE: Final = timedelta(seconds=60)
LONGEST_LIFE: Final = timedelta(days=21)


class ShareTokens(Collection[ShareToken], kind=ShareToken):
    """``/connect/share-tokens``; the id of one is what the destination redeems."""

    __slots__ = ()

    async def create(
        self,
        *,
        connection_id: str,
        source_id: str,
        expires_in: timedelta | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> ShareToken:
        """Offer an account, inquiry, transaction or verification over a connection.

        ``expires_in`` is 60 s to 21 days; without it the service chooses (14 days).
        Raises `OutcomeUnknownError` where an offer may have been made: look for it in
        the list of its connection. Source: POST /connect/share-tokens.
        """
        life = seconds_of(
            "expires_in", expires_in, at_least=SHORTEST_LIFE, at_most=LONGEST_LIFE
        )
        attributes: dict[str, Any] = {
            "connection-id": checked_id(connection_id, "connection_id"),
            "source-id": checked_id(source_id, "source_id"),
        }
        if life is not None:
            attributes["expires-in-seconds"] = life
        body = attributes_body(attributes)
        return await self._one(routes.CREATE, body=body, options=options)

    async def retrieve(
        self,
        share_token_id: str,
        *,
        peek_source_data: bool | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> ShareToken:
        """Answer one share token; with ``peek_source_data`` also `source_data`.

        That comes to the destination alone, and where Persona has enabled peeking.
        Source: GET /connect/share-tokens/{share-token-id}.
        """
        query = {**shaping(None, fields), "peek-source-data": peek_source_data}
        return await self._one(
            routes.RETRIEVE, share_token_id, query=query, options=options
        )

    def list(
        self,
        *,
        connection_id: str | None = None,
        status: ShareTokenStatus | str | None = None,
        direction: Direction | str | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[ShareToken]:
        """List share tokens in both directions, newest first.

        Source: GET /connect/share-tokens.
        """
        query = filtering(
            filter, connection_id=connection_id, status=status, direction=direction
        )
        return self._list(
            routes.LIST,
            query=query,
            fields=fields,
            page_size=page_size,
            after=after,
            before=before,
            options=options,
        )

    async def redeem(
        self,
        share_token_id: str,
        *,
        destination_id: str | None = None,
        field_mappings: Mapping[str, str] | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> ShareToken:
        """Start to redeem: as a new object, or into the existing ``destination_id``.

        ``field_mappings`` names, for each field of the source, the field of the
        destination that takes it. The redemption goes on in the background; `wait` for
        it. A lost answer is settled by reading the state, never by redeeming again:
        where that cannot tell, `OutcomeUnknownError` says so. Source: POST
        /connect/share-tokens/{share-token-id}/redeem.
        """
        body = _redemption(destination_id, field_mappings)
        try:
            return await self._one(
                routes.REDEEM, share_token_id, body=body, options=options
            )
        except (OutcomeUnknownError, ConflictError, UnprocessableError) as error:
            lost = error
        return await settled(self.retrieve, share_token_id, destination_id, lost)

    async def expire(
        self, share_token_id: str, **options: Unpack[RetrieveOptions]
    ) -> ShareToken:
        """End an offer that was not redeemed; one that had ended before is a success.

        Source: POST /connect/share-tokens/{share-token-id}/expire.
        """
        try:
            return await self._one(routes.EXPIRE, share_token_id, options=options)
        except (ConflictError, UnprocessableError) as error:
            refusal = error
        return await ended(self.retrieve, share_token_id, refusal)

    async def wait(
        self,
        share_token_id: str,
        *,
        timeout: timedelta | float,  # noqa: ASYNC109 — it counts by the given clock
    ) -> Redemption:
        """Wait until a share token was redeemed, asking every 1 to 30 seconds.

        ``timeout`` is in seconds, or a duration.

        Raises:
            RedemptionFailedError: it failed, for the ``reason`` that it holds.
            ShareTokenExpiredError: nobody redeemed it in time.
            RedemptionPendingError: it was not decided when the time was up.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        return await waited(
            self.retrieve, share_token_id, self._caller.runtime, seconds
        )


def _redemption(
    destination_id: str | None, field_mappings: Mapping[str, str] | None
) -> Body:
    if destination_id is None:
        if field_mappings:
            message = "field_mappings need a destination_id: a clone has no mappings"
            raise InvalidArgumentError(message)
        return NO_BODY
    attributes = {"destination-id": checked_id(destination_id, "destination_id")}
    if not field_mappings:
        return attributes_body(attributes)
    mappings = [
        {"source-field-name": source, "destination-field-name": destination}
        for source, destination in field_mappings.items()
    ]
    return attributes_body(attributes, {"field-mappings": mappings})
