"""Inquiry sessions: the devices on which inquiries were gone through."""

from collections.abc import Sequence
from typing import Unpack

from persona_share._protocol.routes import inquiry_sessions as routes
from persona_share.model.ids import checked_id
from persona_share.model.inquiry_session import InquirySession
from persona_share.model.page import Page
from persona_share.resources.bodies import attributes_body, meta_body
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Ask, Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    RetrieveOptions,
    filtering,
    shaping,
    split,
)


class InquirySessions(Collection[InquirySession], kind=InquirySession):
    """``/inquiry-sessions``."""

    __slots__ = ()

    async def retrieve(
        self,
        inquiry_session_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> InquirySession:
        """Answer one session.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /inquiry-sessions/{inquiry-session-id}.
        """
        shape = shaping(include, fields)
        return await self._one(
            routes.RETRIEVE, inquiry_session_id, query=shape, options=options
        )

    def list(
        self,
        *,
        inquiry_id: str | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        **options: Unpack[CallOptions],
    ) -> Listing[InquirySession]:
        """List the sessions of an inquiry.

        Source: GET /inquiry-sessions.
        """
        query = filtering(filter, inquiry_id=inquiry_id)
        return self._list(
            routes.LIST,
            query=query,
            options=options,
        )

    async def create(
        self, *, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Make a session for an inquiry.

        Source: POST /inquiry-sessions.
        """
        body = attributes_body({"inquiry-id": checked_id(inquiry_id, "inquiry_id")})
        return await self._one(routes.CREATE, body=body, options=options)

    async def expire(
        self, inquiry_session_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """End a session."""
        return await self._one(routes.EXPIRE, inquiry_session_id, options=options)

    async def expire_all(
        self, inquiry_ids: Sequence[str], **options: Unpack[RetrieveOptions]
    ) -> Page[InquirySession]:
        """End all sessions of these inquiries, and answer them."""
        query, rest = split(options)
        body = meta_body(inquiry_ids=[checked_id(each) for each in inquiry_ids])
        ask = Ask(route=routes.EXPIRE_ALL, query=query, body=body, options=rest)
        return await self._listing(InquirySession, ask)

    async def generate_one_time_link(
        self, inquiry_session_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Make a link that opens a session once; `one_time_link` comes along."""
        return await self._one(
            routes.GENERATE_ONE_TIME_LINK, inquiry_session_id, options=options
        )
