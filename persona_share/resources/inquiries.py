"""Inquiries: one person each in an identity flow, with their sessions and devices."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Unpack

from persona_share._protocol.routes import (
    DeviceRoutes,
    InquiryRoutes,
    InquirySessionRoutes,
)
from persona_share.model.ids import checked_id
from persona_share.model.inquiry import Device, Inquiry, InquirySession, InquiryStatus
from persona_share.model.response import Page
from persona_share.resources.collection import (
    Listing,
    Printable,
    Redactable,
    Retrievable,
    Searchable,
    Taggable,
    checked_ids,
)
from persona_share.resources.params import (
    ChangedInquiry,
    InquiryAttributes,
    InquiryChanges,
    InquiryMeta,
    NewInquiry,
    attributes_body,
    meta_body,
    seconds_of,
)
from persona_share.resources.query_options import (
    CallOptions,
    InquiryStatusName,
    ListOptions,
    RetrieveOptions,
    check_status,
    checked_list,
)


Status = InquiryStatusName | InquiryStatus


class Inquiries(
    Retrievable[Inquiry],
    Taggable[Inquiry],
    Searchable[Inquiry],
    Redactable[Inquiry],
    Printable[Inquiry],
    kind=Inquiry,
    routes=InquiryRoutes,
):
    """The endpoints of ``/inquiries``."""

    __slots__ = ()

    def list(
        self,
        *,
        status: Status | Sequence[Status] | None = None,
        account_id: str | None = None,
        reference_id: str | None = None,
        inquiry_id: str | Sequence[str] | None = None,
        inquiry_template_id: str | None = None,
        created_at_start: datetime | None = None,
        created_at_end: datetime | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Inquiry]:
        """List inquiries, newest first; all conditions must hold.

        A status that is not known causes a warning.
        """
        check_status(InquiryStatus, status)
        filters = {
            "status": status,
            "account_id": account_id,
            "reference_id": reference_id,
            "inquiry_id": inquiry_id,
            "inquiry_template_id": inquiry_template_id,
            "created_at_start": created_at_start,
            "created_at_end": created_at_end,
        }
        return self._list(InquiryRoutes.LIST, filters=filters, options=options)

    async def create(self, **values: Unpack[NewInquiry]) -> Inquiry:
        """Create an inquiry; ``fields`` are its field values here."""
        return await self._send(
            InquiryRoutes.CREATE,
            values=values,
            attributes=InquiryAttributes,
            meta=InquiryMeta,
        )

    async def update(
        self, inquiry_id: str, **values: Unpack[ChangedInquiry]
    ) -> Inquiry:
        """Update an inquiry; ``fields`` are its field values here."""
        return await self._send(
            InquiryRoutes.UPDATE, inquiry_id, values=values, attributes=InquiryChanges
        )

    async def approve(
        self,
        inquiry_id: str,
        *,
        comment: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Approve an inquiry, which starts the workflows that follow."""
        body = meta_body(comment=comment)
        return await self._one(
            InquiryRoutes.APPROVE, inquiry_id, body=body, options=options
        )

    async def decline(
        self,
        inquiry_id: str,
        *,
        comment: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Decline an inquiry, which starts the workflows that follow."""
        body = meta_body(comment=comment)
        return await self._one(
            InquiryRoutes.DECLINE, inquiry_id, body=body, options=options
        )

    async def mark_for_review(
        self, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> Inquiry:
        """Mark an inquiry for manual review."""
        return await self._one(
            InquiryRoutes.MARK_FOR_REVIEW, inquiry_id, options=options
        )

    async def resume(
        self, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> Inquiry:
        """Resume an inquiry that is not finished; the result has `session_token`."""
        return await self._one(InquiryRoutes.RESUME, inquiry_id, options=options)

    async def expire(
        self, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> Inquiry:
        """Expire an inquiry and all of its sessions."""
        return await self._one(InquiryRoutes.EXPIRE, inquiry_id, options=options)

    async def generate_one_time_link(
        self,
        inquiry_id: str,
        *,
        expires_in: timedelta | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Create a link that opens an inquiry once; the result has `one_time_link`."""
        body = meta_body(expires_in_seconds=seconds_of("expires_in", expires_in))
        return await self._one(
            InquiryRoutes.GENERATE_ONE_TIME_LINK, inquiry_id, body=body, options=options
        )

    async def perform_simulate_actions(
        self,
        inquiry_id: str,
        actions: Sequence[Mapping[str, Any]],
        **options: Unpack[RetrieveOptions],
    ) -> Inquiry:
        """Act as the person would, in the sandbox environment only."""
        body = meta_body(simulate_actions=checked_list("actions", actions))
        return await self._one(
            InquiryRoutes.PERFORM_SIMULATE_ACTIONS,
            inquiry_id,
            body=body,
            options=options,
        )


# ── Sessions and devices ─────────────────────────────────────────────────────


class InquirySessions(
    Retrievable[InquirySession], kind=InquirySession, routes=InquirySessionRoutes
):
    """The endpoints of ``/inquiry-sessions``."""

    __slots__ = ()

    def list(
        self, *, inquiry_id: str | None = None, **options: Unpack[ListOptions]
    ) -> Listing[InquirySession]:
        """List the sessions of an inquiry."""
        filters = {"inquiry_id": inquiry_id}
        return self._list(InquirySessionRoutes.LIST, filters=filters, options=options)

    async def create(
        self, *, inquiry_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Create a session of an inquiry."""
        body = attributes_body({"inquiry_id": checked_id(inquiry_id, "inquiry_id")})
        return await self._one(InquirySessionRoutes.CREATE, body=body, options=options)

    async def expire(
        self, inquiry_session_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Expire a session."""
        return await self._one(
            InquirySessionRoutes.EXPIRE, inquiry_session_id, options=options
        )

    async def expire_all(
        self, inquiry_ids: Sequence[str], **options: Unpack[RetrieveOptions]
    ) -> Page[InquirySession]:
        """Expire all sessions of these inquiries, and return them."""
        ids = checked_ids(inquiry_ids, "inquiry_ids")
        return await self._list_of(
            InquirySession,
            InquirySessionRoutes.EXPIRE_ALL,
            body=meta_body(inquiry_ids=ids),
            options=options,
        )

    async def generate_one_time_link(
        self, inquiry_session_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquirySession:
        """Create a link that opens a session once; the result has `one_time_link`."""
        return await self._one(
            InquirySessionRoutes.GENERATE_ONE_TIME_LINK,
            inquiry_session_id,
            options=options,
        )


class Devices(Retrievable[Device], kind=Device, routes=DeviceRoutes):
    """The endpoints of ``/devices``."""

    __slots__ = ()

    def list(
        self, *, inquiry_session_id: str, **options: Unpack[CallOptions]
    ) -> Listing[Device]:
        """List the devices of an inquiry session."""
        filters = {"inquiry_session_id": inquiry_session_id}
        return self._list(DeviceRoutes.LIST, filters=filters, options=options)
