"""API logs: which requests were made; they need the permission ``api_log.read``."""

from typing import Unpack

from persona_share._protocol.routes import api_logs as routes
from persona_share.model.api_log import ApiLog
from persona_share.resources.collection import Retrievable
from persona_share.resources.listing import Listing
from persona_share.resources.query_options import Fields, PageOptions


class _ListOptions(PageOptions, total=False):
    fields: Fields | None


class ApiLogs(Retrievable[ApiLog], kind=ApiLog, routes=routes):
    """The endpoints of ``/api-logs``; the service keeps logs for two weeks at most."""

    __slots__ = ()

    def list(self, **options: Unpack[_ListOptions]) -> Listing[ApiLog]:
        """List requests, newest first."""
        return self._list(routes.LIST, options=options)
