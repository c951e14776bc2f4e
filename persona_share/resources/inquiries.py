"""Inquiries: one person each, on the way through an identity flow."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Unpack

from persona_share._protocol.routes import inquiries as routes
from persona_share.model.inquiry import Inquiry
from persona_share.resources.bodies import meta_body
from persona_share.resources.collection import Redacted, Searched, Tagged
from persona_share.resources.durations import seconds_of
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.params import (
    ChangedInquiry,
    InquiryAttributes,
    InquiryChanges,
    InquiryMeta,
    NewInquiry,
)
from persona_share.resources.printing import Printed
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    RetrieveOptions,
    filtering,
    shaping,
)


class Inquiries(
    Tagged[Inquiry],
    Searched[Inquiry],
    Redacted[Inquiry],
    Printed[Inquiry],
    kind=Inquiry,
):
    """``/inquiries``."""

    _redact = routes.REDACT
    _search = routes.SEARCH
    _print = routes.PRINT
    _add_tag = routes.ADD_TAG
    _remove_tag = routes.REMOVE_TAG
    _set_tags = routes.SET_TAGS

    __slots__ = ()

    async def retrieve(
        self,
        inquiry_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Inquiry:
        """Answer one inquiry.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /inquiries/{inquiry-id}.
        """
        shape = shaping(include, fields)
        return await self._one(
            routes.RETRIEVE, inquiry_id, query=shape, options=options
        )

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        account_id: str | None = None,
        reference_id: str | None = None,
        inquiry_id: Sequence[str] | None = None,
        inquiry_template_id: str | None = None,
        created_at_start: datetime | None = None,
        created_at_end: datetime | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Inquiry]:
        """List inquiries, newest first; named conditions are joined by "and".

        Source: GET /inquiries.
        """
        query = filtering(
            filter,
            status=status,
            account_id=account_id,
            reference_id=reference_id,
            inquiry_id=inquiry_id,
            inquiry_template_id=inquiry_template_id,
            created_at_start=created_at_start,
            created_at_end=created_at_end,
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

    async def create(self, **values: Unpack[NewInquiry]) -> Inquiry:
        """Make an inquiry; ``fields`` are its field values here.

        Source: POST /inquiries.
        """
        return await self._send(
            routes.CREATE, values=values, attributes=InquiryAttributes, meta=InquiryMeta
        )

    async def update(
        self, inquiry_id: str, **values: Unpack[ChangedInquiry]
    ) -> Inquiry:
        """Change an inquiry; ``fields`` are its field values here.

        Source: PATCH /inquiries/{inquiry-id}.
        """
        return await self._send(
            routes.UPDATE, inquiry_id, values=values, attributes=InquiryChanges
        )

    async def approve(
        self,
        inquiry_id: str,
        *,
        comment: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Approve an inquiry, and start what follows from that."""
        body = meta_body(comment=comment)
        return await self._one(routes.APPROVE, inquiry_id, body=body, options=options)

    async def decline(
        self,
        inquiry_id: str,
        *,
        comment: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Decline an inquiry, and start what follows from that."""
        body = meta_body(comment=comment)
        return await self._one(routes.DECLINE, inquiry_id, body=body, options=options)

    async def mark_for_review(
        self, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> Inquiry:
        """Mark an inquiry for a review by people."""
        return await self._one(routes.MARK_FOR_REVIEW, inquiry_id, options=options)

    async def resume(
        self, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> Inquiry:
        """Open a pending or expired inquiry again; `session_token` comes along."""
        return await self._one(routes.RESUME, inquiry_id, options=options)

    async def expire(
        self, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> Inquiry:
        """End an inquiry, and all of its sessions."""
        return await self._one(routes.EXPIRE, inquiry_id, options=options)

    async def generate_one_time_link(
        self,
        inquiry_id: str,
        *,
        expires_in: timedelta | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Make a link that opens an inquiry once; `one_time_link` comes along."""
        body = meta_body(expires_in_seconds=seconds_of("expires_in", expires_in))
        return await self._one(
            routes.GENERATE_ONE_TIME_LINK, inquiry_id, body=body, options=options
        )

    async def perform_simulate_actions(
        self,
        inquiry_id: str,
        actions: Sequence[Mapping[str, Any]],
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Act as the person would, in the sandbox environment only."""
        body = meta_body(simulate_actions=list(actions))
        return await self._one(
            routes.PERFORM_SIMULATE_ACTIONS, inquiry_id, body=body, options=options
        )
