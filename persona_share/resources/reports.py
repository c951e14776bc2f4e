"""Reports: results from watchlists, registers and other data sources."""

from typing import Literal, Unpack

from persona_share._protocol.routes import ReportRoutes
from persona_share.model.report import Report, ReportAction
from persona_share.resources.collection import (
    Listing,
    Printable,
    Redactable,
    Retrievable,
    Taggable,
)
from persona_share.resources.params import (
    NewReport,
    ReportAttributes,
    ReportMeta,
    attributes_body,
)
from persona_share.resources.query_options import (
    ListOptions,
    PageOptions,
    RetrieveOptions,
)


class Reports(
    Retrievable[Report],
    Taggable[Report],
    Redactable[Report],
    Printable[Report],
    kind=Report,
    routes=ReportRoutes,
):
    """The endpoints of ``/reports``."""

    __slots__ = ()

    def list(
        self,
        *,
        account_id: str | None = None,
        reference_id: str | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Report]:
        """List reports, newest first."""
        filters = {"account_id": account_id, "reference_id": reference_id}
        return self._list(ReportRoutes.LIST, filters=filters, options=options)

    async def create(
        self,
        *,
        type: str | None = None,  # noqa: A002 — the API's own word
        **values: Unpack[NewReport],
    ) -> Report:
        """Create a report, such as one of the type ``report/watchlist``."""
        return await self._send(
            ReportRoutes.CREATE,
            values=values,
            attributes=ReportAttributes,
            meta=ReportMeta,
            type_name=type,
        )

    async def run(self, report_id: str, **options: Unpack[RetrieveOptions]) -> Report:
        """Run a report again."""
        return await self._one(ReportRoutes.RUN, report_id, options=options)

    async def pause(self, report_id: str, **options: Unpack[RetrieveOptions]) -> Report:
        """Pause the continuous monitoring of a report."""
        return await self._one(ReportRoutes.PAUSE, report_id, options=options)

    async def resume(
        self, report_id: str, **options: Unpack[RetrieveOptions]
    ) -> Report:
        """Resume the continuous monitoring of a report."""
        return await self._one(ReportRoutes.RESUME, report_id, options=options)

    async def dismiss(
        self,
        report_id: str,
        *,
        entity_id: str | None = None,
        dismiss_type: str | None = None,
        reason: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Report:
        """Dismiss the matches of a report: all of them, or those of one entity."""
        values = {
            "entity_id": entity_id,
            "dismiss_type": dismiss_type,
            "reason": reason,
        }
        body = attributes_body(values)
        return await self._one(
            ReportRoutes.DISMISS, report_id, body=body, options=options
        )

    async def review(
        self,
        report_id: str,
        *,
        review_status: Literal[
            "pending", "indeterminate", "true_positive", "false_positive"
        ],
        record_token: str | None = None,
        risk_level: Literal["material", "immaterial"] | None = None,
        comment: str | None = None,
        notify_on_change: bool | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Report:
        """Record a review of the matches of a screening report.

        ``record_token`` names one matched record; without it all of them are reviewed.
        With ``notify_on_change`` a record returns to "pending" if its data changes.
        """
        values = {
            "review_type": "all_records" if record_token is None else "record",
            "review_status": review_status,
            "record_token": record_token,
            "risk_level": risk_level,
            "comment": comment,
            "notify_on_change": notify_on_change,
        }
        body = attributes_body(values)
        return await self._one(
            ReportRoutes.REVIEW, report_id, body=body, options=options
        )

    def history(
        self, report_id: str, **options: Unpack[PageOptions]
    ) -> Listing[ReportAction]:
        """List the actions on a report, newest first."""
        return self._list_of(
            ReportAction, ReportRoutes.HISTORY, report_id, options=options
        )
