"""Type checks of the resources for sharing; this module is never run."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from persona_share import PersonaClient, ScopedSession, Secret
from persona_share.model.account import Account
from persona_share.model.connection import Connection
from persona_share.model.document import GenericDocument
from persona_share.model.inquiry import Inquiry, InquiryStatus
from persona_share.model.report import ReportAction
from persona_share.model.resource import Reference, Resource
from persona_share.model.response import Page
from persona_share.model.share_token import Redemption, ShareToken
from persona_share.model.verification import Check, SelfieVerification
from persona_share.stores import SQLiteStore
from persona_share.webhooks import (
    Delivery,
    Event,
    ReplayGuard,
    Verifier,
)


async def attributes_have_types(session: ScopedSession) -> None:
    """An attribute is of its type or None, a link is a reference."""
    inquiry = await session.inquiries.retrieve("inq_1", include=["account"])
    assert_type(inquiry.status, InquiryStatus | None)
    assert_type(inquiry.created_at, datetime | None)
    assert_type(inquiry.tags, tuple[str, ...] | None)
    assert_type(inquiry.fields, Mapping[str, Any] | None)
    assert_type(inquiry.account, Reference | None)
    assert_type(inquiry.verifications, tuple[Reference, ...])
    assert_type(inquiry.related("account"), tuple[Resource, ...])
    assert_type(inquiry.one_time_link, Secret | None)
    assert_type(inquiry.read("brand_new", datetime), datetime | None)
    selfie = await session.verifications.retrieve_selfie("ver_1")
    assert_type(selfie, SelfieVerification)
    assert_type(selfie.checks, tuple[Check, ...] | None)


async def listings_are_pages_and_objects(client: PersonaClient) -> None:
    """A listing is awaited, iterated, or gone through by pages."""
    assert_type(await client.inquiries.list(status="approved"), Page[Inquiry])
    async for account in client.accounts.search({"attribute": "a"}):
        assert_type(account, Account)
    async for page in client.reports.history("rep_1").pages(after="x"):
        assert_type(page, Page[ReportAction])


async def sharing_has_types(client: PersonaClient) -> None:
    """From a connection to a redemption."""
    assert_type(await client.connections.find_active("org_2"), Connection | None)
    offer = await client.share_tokens.create(
        connection_id="cxn_1", source_id="inq_1", expires_in=timedelta(days=1)
    )
    assert_type(offer, ShareToken)
    assert_type(await client.share_tokens.redeem(offer.id), ShareToken)
    assert_type(await client.share_tokens.wait(offer.id, timeout=60), Redemption)


async def values_have_names(client: PersonaClient) -> None:
    """Attributes of an object are checked by name and type."""
    made = await client.inquiries.create(inquiry_template_id="itmpl_1", note=None)
    assert_type(made, Inquiry)
    await client.inquiries.create(unknown="x")  # type: ignore[call-arg]  # the point of it
    assert_type(await client.inquiries.redact("inq_1"), Inquiry | None)


async def downloads_have_types(client: PersonaClient) -> None:
    """A download is bytes, pieces, or a file."""
    assert_type(await client.inquiries.print("inq_1"), bytes)
    async for piece in client.inquiries.print("inq_1"):
        assert_type(piece, bytes)
    assert_type(await client.inquiries.print("inq_1").save("a.pdf"), Path)

    def first(document: GenericDocument) -> Secret | None:
        return next((each.file.url for each in document.files()), None)

    await client.files.download_of(
        lambda: client.documents.retrieve_generic("doc_1"), first
    )


async def webhooks_have_types(verifier: Verifier) -> None:
    """A delivery is an event."""
    assert_type(verifier.verify(b"", "t=1,v1=0"), Event)
    async with verifier.handling(b"", None) as delivery:
        assert_type(delivery, Delivery)


def guards_take_stores() -> ReplayGuard:
    """Any store can be given to a guard, and nothing else."""
    ReplayGuard("events.db")  # type: ignore[arg-type]  # the point of it
    return ReplayGuard(SQLiteStore("events.db"))
