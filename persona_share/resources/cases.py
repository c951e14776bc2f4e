"""Cases: manual reviews."""

from collections.abc import Sequence
from typing import Unpack

from persona_share._protocol.routes import CaseRoutes
from persona_share.model.case import Case
from persona_share.resources.collection import (
    Listing,
    ObjectContainer,
    Redactable,
    Retrievable,
    Searchable,
    Taggable,
)
from persona_share.resources.params import (
    CaseAttributes,
    CaseChanges,
    CaseChangesMeta,
    CaseMeta,
    ChangedCase,
    NewCase,
    meta_body,
)
from persona_share.resources.query_options import ListOptions, RetrieveOptions


class Cases(
    Retrievable[Case],
    Taggable[Case],
    ObjectContainer[Case],
    Searchable[Case],
    Redactable[Case],
    kind=Case,
    routes=CaseRoutes,
):
    """The endpoints of ``/cases``."""

    __slots__ = ()

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        case_template_id: str | None = None,
        account_id: str | None = None,
        inquiry_id: str | None = None,
        report_id: str | None = None,
        reference_id: str | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Case]:
        """List cases, newest first; all conditions must hold."""
        filters = {
            "status": status,
            "case_template_id": case_template_id,
            "account_id": account_id,
            "inquiry_id": inquiry_id,
            "report_id": report_id,
            "reference_id": reference_id,
        }
        return self._list(CaseRoutes.LIST, filters=filters, options=options)

    async def create(self, **values: Unpack[NewCase]) -> Case:
        """Create a case; ``fields`` are its field values here."""
        return await self._send(
            CaseRoutes.CREATE, values=values, attributes=CaseAttributes, meta=CaseMeta
        )

    async def update(self, case_id: str, **values: Unpack[ChangedCase]) -> Case:
        """Update a case; ``fields`` are its field values here."""
        return await self._send(
            CaseRoutes.UPDATE,
            case_id,
            values=values,
            attributes=CaseChanges,
            meta=CaseChangesMeta,
        )

    async def assign(
        self, case_id: str, user_email_address: str, **options: Unpack[RetrieveOptions]
    ) -> Case:
        """Assign a case to a user of the Dashboard."""
        body = meta_body(user_email_address=user_email_address)
        return await self._one(CaseRoutes.ASSIGN, case_id, body=body, options=options)

    async def set_status(
        self, case_id: str, status: str, **options: Unpack[RetrieveOptions]
    ) -> Case:
        """Set the status of a case to one of its template's."""
        body = meta_body(status=status)
        return await self._one(
            CaseRoutes.SET_STATUS, case_id, body=body, options=options
        )

    async def add_comment(
        self, case_id: str, message: str, **options: Unpack[RetrieveOptions]
    ) -> Case:
        """Add a comment to a case."""
        body = meta_body(message=message)
        return await self._one(
            CaseRoutes.ADD_COMMENT, case_id, body=body, options=options
        )
