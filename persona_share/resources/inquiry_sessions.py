"""Inquiry sessions: the devices that work on inquiries."""

from collections.abc import Sequence
from typing import Unpack

from persona_share._protocol.routes import inquiry_sessions as routes
from persona_share.model.ids import checked_id
from persona_share.model.inquiry_session import InquirySession
from persona_share.model.page import Page
from persona_share.resources.collection import Retrievable
from persona_share.resources.listing import Listing
from persona_share.resources.params import attributes_body, meta_body
from persona_share.resources.query_options import ListOptions, RetrieveOptions


class InquirySessions(Retrievable[InquirySession], kind=InquirySession, routes=routes):
    """The endpoints of ``/inquiry-sessions``."""

    __slots__ = ()

    def list(
        self, *, inquiry_id: str | None = None, **options: Unpack[ListOptions]
    ) -> Listing[InquirySession]:
        """List the sessions of an inquiry."""
        filters = {"inquiry_id": inquiry_id}
        return self._list(routes.LIST, filters=filters, options=options)

    async def create(
        self, *, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Create a session of an inquiry."""
        body = attributes_body({"inquiry-id": checked_id(inquiry_id, "inquiry_id")})
        return await self._one(routes.CREATE, body=body, options=options)

    async def expire(
        self, inquiry_session_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Expire a session."""
        return await self._one(routes.EXPIRE, inquiry_session_id, options=options)

    async def expire_all(
        self, inquiry_ids: Sequence[str], **options: Unpack[RetrieveOptions]
    ) -> Page[InquirySession]:
        """Expire all sessions of these inquiries, and return them."""
        ids = [checked_id(each, "inquiry_ids") for each in inquiry_ids]
        return await self._list_of(
            InquirySession,
            routes.EXPIRE_ALL,
            body=meta_body(inquiry_ids=ids),
            options=options,
        )

    async def generate_one_time_link(
        self, inquiry_session_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Create a link that opens a session once; the result has `one_time_link`."""
        return await self._one(
            routes.GENERATE_ONE_TIME_LINK, inquiry_session_id, options=options
        )
