"""Cases: reviews by people."""

from collections.abc import Sequence
from typing import Unpack

from persona_share._protocol.routes import cases as routes
from persona_share.model.case import Case
from persona_share.model.ids import checked_id
from persona_share.resources.bodies import meta_body
from persona_share.resources.collection import Redacted, Searched, Tagged
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.params import (
    CaseAttributes,
    CaseChanges,
    CaseChangesMeta,
    CaseMeta,
    ChangedCase,
    NewCase,
)
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    RetrieveOptions,
    filtering,
    shaping,
)


class Cases(Tagged[Case], Searched[Case], Redacted[Case], kind=Case):
    """``/cases``."""

    _redact = routes.REDACT
    _search = routes.SEARCH
    _add_tag = routes.ADD_TAG
    _remove_tag = routes.REMOVE_TAG
    _set_tags = routes.SET_TAGS

    __slots__ = ()

    async def retrieve(
        self,
        case_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Case:
        """Answer one case.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /cases/{case-id}.
        """
        shape = shaping(include, fields)
        return await self._one(routes.RETRIEVE, case_id, query=shape, options=options)

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        case_template_id: str | None = None,
        account_id: str | None = None,
        inquiry_id: str | None = None,
        report_id: str | None = None,
        reference_id: str | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Case]:
        """List cases, newest first; named conditions are joined by "and".

        Source: GET /cases.
        """
        query = filtering(
            filter,
            status=status,
            case_template_id=case_template_id,
            account_id=account_id,
            inquiry_id=inquiry_id,
            report_id=report_id,
            reference_id=reference_id,
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

    async def create(self, **values: Unpack[NewCase]) -> Case:
        """Make a case; ``fields`` are its field values here.

        Source: POST /cases.
        """
        return await self._send(
            routes.CREATE, values=values, attributes=CaseAttributes, meta=CaseMeta
        )

    async def update(self, case_id: str, **values: Unpack[ChangedCase]) -> Case:
        """Change a case; ``fields`` are its field values here.

        Source: PATCH /cases/{case-id}.
        """
        return await self._send(
            routes.UPDATE,
            case_id,
            values=values,
            attributes=CaseChanges,
            meta=CaseChangesMeta,
        )

    async def assign(
        self, case_id: str, user_email_address: str, **options: Unpack[RetrieveOptions]
    ) -> Case:
        """Give a case to a user of the Dashboard."""
        body = meta_body(user_email_address=user_email_address)
        return await self._one(routes.ASSIGN, case_id, body=body, options=options)

    async def set_status(
        self, case_id: str, status: str, **options: Unpack[RetrieveOptions]
    ) -> Case:
        """Set a case's status to one of its template's."""
        body = meta_body(status=status)
        return await self._one(routes.SET_STATUS, case_id, body=body, options=options)

    async def add_objects(
        self,
        case_id: str,
        object_ids: Sequence[str],
        **options: Unpack[RetrieveOptions],
    ) -> Case:
        """Add accounts, inquiries, reports and the like to a case."""
        body = meta_body(object_ids=[checked_id(each) for each in object_ids])
        return await self._one(routes.ADD_OBJECTS, case_id, body=body, options=options)

    async def remove_objects(
        self,
        case_id: str,
        object_ids: Sequence[str],
        **options: Unpack[RetrieveOptions],
    ) -> Case:
        """Take objects out of a case."""
        body = meta_body(object_ids=[checked_id(each) for each in object_ids])
        return await self._one(
            routes.REMOVE_OBJECTS, case_id, body=body, options=options
        )
