"""What a client and a scoped session have in common: the resources, and any endpoint."""

import copy
from collections.abc import Mapping
from typing import Self, Unpack

from persona_share import resources
from persona_share._protocol import jsonapi
from persona_share._protocol.query import QueryValue, encoded_query
from persona_share._protocol.routes.route import Route
from persona_share._protocol.routes.table import filled, known
from persona_share.errors import InvalidArgumentError
from persona_share.model.response import ApiResponse
from persona_share.resources.base import Caller
from persona_share.resources.bodies import NO_BODY, Body
from persona_share.resources.options import CallOptions


class ResourceAccessors:
    """The resources that an API key and a scoped token both reach."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def connections(self) -> "resources.Connections":
        """Agreements with other organizations."""
        return resources.Connections(self._caller)

    @property
    def share_tokens(self) -> "resources.ShareTokens":
        """Offers to redeem, made and received."""
        return resources.ShareTokens(self._caller)

    @property
    def inquiries(self) -> "resources.Inquiries":
        """Inquiries."""
        return resources.Inquiries(self._caller)

    @property
    def inquiry_sessions(self) -> "resources.InquirySessions":
        """The sessions of inquiries."""
        return resources.InquirySessions(self._caller)

    @property
    def verifications(self) -> "resources.Verifications":
        """Verifications of every type."""
        return resources.Verifications(self._caller)

    @property
    def accounts(self) -> "resources.Accounts":
        """Accounts."""
        return resources.Accounts(self._caller)

    @property
    def transactions(self) -> "resources.Transactions":
        """Transactions."""
        return resources.Transactions(self._caller)

    @property
    def reports(self) -> "resources.Reports":
        """Reports of every type."""
        return resources.Reports(self._caller)

    @property
    def documents(self) -> "resources.Documents":
        """Documents of every type."""
        return resources.Documents(self._caller)

    @property
    def cases(self) -> "resources.Cases":
        """Cases."""
        return resources.Cases(self._caller)

    @property
    def devices(self) -> "resources.Devices":
        """Devices."""
        return resources.Devices(self._caller)

    @property
    def events(self) -> "resources.Events":
        """Events of the last weeks."""
        return resources.Events(self._caller)

    @property
    def rate_limits(self) -> "resources.RateLimits":
        """The limits, as they stand."""
        return resources.RateLimits(self._caller)

    @property
    def files(self) -> "resources.Files":
        """The files that objects name."""
        return resources.Files(self._caller)

    async def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
        **options: Unpack[CallOptions],
    ) -> ApiResponse:
        """Call any other endpoint: ``path`` as documented, with its placeholders.

        Raises:
            InvalidArgumentError: before any byte leaves, for what cannot be sent.
            ScopeNotCoveredError: before any byte leaves, on a session.
            ApiError: any answer that is no success.
            TransportError: no answer came.
        """
        params = path_params or {}
        verb, target = filled(method, path, params)
        body = _body(json, form)
        route, ids = known(verb, target) or (Route(verb, path), tuple(params.values()))
        self._caller.require_covered(route, ids)
        request, response = await self._caller.send(
            route, target + encoded_query(query or {}), body, options
        )
        return jsonapi.document(request, response)

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """Answer a cheap copy with other defaults, on the same connections and tokens.

        Raises `InvalidArgumentError` for an option that cannot be used.
        """
        twin = copy.copy(self)
        twin._caller = self._caller.with_options(options)  # noqa: SLF001  # our twin's
        return twin


def _body(json: object | None, form: Mapping[str, str] | None) -> Body:
    if json is not None and form is not None:
        message = "pass json= or form=, not both"
        raise InvalidArgumentError(message)
    if form is not None:
        return Body.of_form(form)
    return NO_BODY if json is None else Body.of_json(json)
