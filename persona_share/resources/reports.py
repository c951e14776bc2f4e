"""Reports: what lists and registers say."""

from typing import Unpack

from persona_share._protocol.routes import reports as routes
from persona_share.model.report import Report, ReportAction
from persona_share.resources.bodies import attributes_body
from persona_share.resources.collection import Redacted, Tagged
from persona_share.resources.listing import Ask, Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.params import NewReport, ReportAttributes, ReportMeta
from persona_share.resources.printing import Printed
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    RetrieveOptions,
    filtering,
    shaping,
)


class Reports(Tagged[Report], Redacted[Report], Printed[Report], kind=Report):
    """``/reports``."""

    _redact = routes.REDACT
    _print = routes.PRINT
    _add_tag = routes.ADD_TAG
    _remove_tag = routes.REMOVE_TAG
    _set_tags = routes.SET_TAGS

    __slots__ = ()

    async def retrieve(
        self,
        report_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Report:
        """Answer one report.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /reports/{report-id}.
        """
        shape = shaping(include, fields)
        return await self._one(routes.RETRIEVE, report_id, query=shape, options=options)

    def list(
        self,
        *,
        account_id: str | None = None,
        reference_id: str | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Report]:
        """List reports, newest first.

        Source: GET /reports.
        """
        query = filtering(filter, account_id=account_id, reference_id=reference_id)
        return self._list(
            routes.LIST,
            query=query,
            fields=fields,
            page_size=page_size,
            after=after,
            before=before,
            options=options,
        )

    async def create(
        self,
        *,
        type: str | None = None,  # noqa: A002 — the API's own word
        **values: Unpack[NewReport],
    ) -> Report:
        """Ask for a report, such as of the type ``report/watchlist``.

        Source: POST /reports.
        """
        return await self._send(
            routes.CREATE,
            values=values,
            attributes=ReportAttributes,
            meta=ReportMeta,
            type_name=type,
        )

    async def run(self, report_id: str, **options: Unpack[RetrieveOptions]) -> Report:
        """Run a report again."""
        return await self._one(routes.RUN, report_id, options=options)

    async def pause(self, report_id: str, **options: Unpack[RetrieveOptions]) -> Report:
        """Pause the continuous monitoring of a report."""
        return await self._one(routes.PAUSE, report_id, options=options)

    async def resume(
        self, report_id: str, **options: Unpack[RetrieveOptions]
    ) -> Report:
        """Go on with the continuous monitoring of a report."""
        return await self._one(routes.RESUME, report_id, options=options)

    async def dismiss(
        self,
        report_id: str,
        *,
        entity_id: str | None = None,
        dismiss_type: str | None = None,
        reason: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Report:
        """Dismiss matches of a report: all of them, or those of one entity."""
        said = {"entity-id": entity_id, "dismiss-type": dismiss_type, "reason": reason}
        body = attributes_body({k: v for k, v in said.items() if v is not None})
        return await self._one(routes.DISMISS, report_id, body=body, options=options)

    def history(
        self,
        report_id: str,
        *,
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[ReportAction]:
        """List what was done with a report, newest first."""
        ask = Ask(
            route=routes.HISTORY,
            object_ids=(report_id,),
            size=page_size,
            options=options,
        )
        return self._listing(ReportAction, ask, after=after, before=before)
