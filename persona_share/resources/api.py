"""The resources of a client and of a scoped session, and calls of any endpoint."""

import copy
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Self, Unpack, cast

from persona_share import resources
from persona_share._protocol import jsonapi
from persona_share._protocol.query import QueryValue, encoded_query
from persona_share._protocol.routes import Route, fill_template, find_route
from persona_share.errors import (
    InvalidArgumentError,
    InvalidIdError,
    ScopeNotCoveredError,
)
from persona_share.model.ids import checked_id, resource_of
from persona_share.model.resource import Resource
from persona_share.model.response import ApiResponse
from persona_share.model.scope import Scope
from persona_share.resources.base import Caller
from persona_share.resources.params import NO_BODY, Body
from persona_share.resources.query_options import CallOptions


Retrieve = Callable[[str], Awaitable[Resource]]

_READ: Final = "read"
#: The accessor of each permission family.
ACCESSOR_OF_FAMILY: Final = {
    "account": "accounts",
    "case": "cases",
    "document": "documents",
    "event": "events",
    "inquiry": "inquiries",
    "report": "reports",
    "txn": "transactions",
    "verification": "verifications",
}
# A path segment that can only be an object's id.
_ID_SEGMENT: Final = re.compile(r"[a-z]{2,12}_[A-Za-z0-9]{1,128}")


class ResourceAccessors:
    """The resources that can be called with an API key or a scoped token."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def connections(self) -> "resources.Connections":
        """Agreements with other organizations."""
        return resources.Connections(self._caller)

    @property
    def share_tokens(self) -> "resources.ShareTokens":
        """Offers to redeem an object, in both directions."""
        return resources.ShareTokens(self._caller)

    @property
    def inquiries(self) -> "resources.Inquiries":
        """Inquiries."""
        return resources.Inquiries(self._caller)

    @property
    def inquiry_sessions(self) -> "resources.InquirySessions":
        """Sessions of inquiries."""
        return resources.InquirySessions(self._caller)

    @property
    def inquiry_templates(self) -> "resources.InquiryTemplates":
        """Templates of inquiries, with the schemas of their fields."""
        return resources.InquiryTemplates(self._caller)

    @property
    def verifications(self) -> "resources.Verifications":
        """Verifications of every type."""
        return resources.Verifications(self._caller)

    @property
    def accounts(self) -> "resources.Accounts":
        """Accounts."""
        return resources.Accounts(self._caller)

    @property
    def account_types(self) -> "resources.AccountTypes":
        """Types of accounts, with the schemas of their fields."""
        return resources.AccountTypes(self._caller)

    @property
    def transactions(self) -> "resources.Transactions":
        """Transactions."""
        return resources.Transactions(self._caller)

    @property
    def transaction_types(self) -> "resources.TransactionTypes":
        """Types of transactions, with the schemas of their fields."""
        return resources.TransactionTypes(self._caller)

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
    def webhooks(self) -> "resources.Webhooks":
        """Webhooks."""
        return resources.Webhooks(self._caller)

    @property
    def webhook_events(self) -> "resources.WebhookEvents":
        """Deliveries of webhooks."""
        return resources.WebhookEvents(self._caller)

    @property
    def workflows(self) -> "resources.Workflows":
        """Workflows, their runs and versions."""
        return resources.Workflows(self._caller)

    @property
    def batch_jobs(self) -> "resources.BatchJobs":
        """Changes of many objects in one request."""
        return resources.BatchJobs(self._caller)

    @property
    def api_keys(self) -> "resources.ApiKeys":
        """API keys of the organization."""
        return resources.ApiKeys(self._caller)

    @property
    def api_logs(self) -> "resources.ApiLogs":
        """Requests that were made with the organization's keys and tokens."""
        return resources.ApiLogs(self._caller)

    @property
    def rate_limits(self) -> "resources.RateLimits":
        """The current rate limits."""
        return resources.RateLimits(self._caller)

    @property
    def files(self) -> "resources.Files":
        """Files of objects."""
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
        object_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> ApiResponse:
        """Call any endpoint; ``path`` is as documented, with its placeholders.

        A session calls an endpoint that this library does not know only for objects in
        its scope: those in the path, or ``object_id`` for a path without any.

        Raises:
            InvalidArgumentError: The request cannot be sent; nothing was sent.
            ScopeNotCoveredError: The scope of the session does not cover it; nothing
                was sent.
            ApiError: The service responded with an error.
            TransportError: No response arrived.
        """
        params = path_params or {}
        verb, target = fill_template(method, path, params)
        body = _body(json, form)
        if (found := find_route(verb, target)) is not None:
            route, ids = found
        else:
            route = Route(verb, _template_of(path), open_ended=True)
            ids = self._ids_of(route, target, params, object_id)
        self._caller.require_covered(route, ids)
        request, response = await self._caller.send(
            route, target + encoded_query(query or {}), body, options
        )
        return jsonapi.document(request, response)

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """Return a copy with other default options and the same connections and tokens.

        Raises `InvalidArgumentError` for an option that cannot be used.
        """
        other = copy.copy(self)
        other._caller = self._caller.with_options(options)  # noqa: SLF001  # same class
        return other

    def _ids_of(
        self,
        route: Route,
        target: str,
        params: Mapping[str, str],
        object_id: str | None,
    ) -> tuple[str, ...]:
        """Return the objects that a call of an unknown endpoint is about."""
        ids = {*params.values(), *filter(_ID_SEGMENT.fullmatch, target.split("/"))}
        if object_id is not None:
            ids.add(checked_id(object_id, "object_id"))
        if not ids and self._caller.scope is not None:
            raise ScopeNotCoveredError.of(
                ["the object of this endpoint"],
                operation=route.operation,
                advice="Pass object_id=… with an object of the scope, or use the client.",
            )
        return tuple(sorted(ids))


def _template_of(path: str) -> str:
    """Return a path as logs, errors and telemetry show it, without the ids in it."""
    segments = path.split("/")
    return "/".join("{id}" if _ID_SEGMENT.fullmatch(x) else x for x in segments)


def _body(json: object | None, form: Mapping[str, str] | None) -> Body:
    if json is not None and form is not None:
        message = "pass json= or form=, not both"
        raise InvalidArgumentError(message)
    if form is not None:
        return Body.of_form(form)
    return NO_BODY if json is None else Body.of_json(json)


# ── Retrieving objects of any kind ───────────────────────────────────────────────


def family_of(permission: str) -> str:
    """Return the family of a read permission.

    Raises `InvalidArgumentError` for any other permission.
    """
    family, _, verb = permission.partition(".")
    if verb != _READ or family not in ACCESSOR_OF_FAMILY:
        message = "permission must be a read permission, such as 'inquiry.read'"
        raise InvalidArgumentError(message)
    return family


def readable(scope: Scope) -> dict[str, str]:
    """Return the objects that a scope can read, each with its permission family."""
    found = {}
    for permission, object_id in scope.pairs():
        family, _, verb = permission.partition(".")
        if object_id is not None and verb == _READ and family in ACCESSOR_OF_FAMILY:
            found[object_id] = family
    return found


def retriever(
    caller: Caller, *, family: str | None = None, scope: Scope | None = None
) -> Retrieve:
    """Return a function that retrieves an object by id.

    The permission family of the object is ``family``, or that of the id in the scope,
    or that of the id's prefix. The function raises `InvalidIdError` if none is known.
    """
    accessors = ResourceAccessors(caller)
    named = readable(scope) if scope is not None else {}
    by_family: dict[str, Retrieve] = {}

    def retrieve(object_id: str) -> Awaitable[Resource]:
        wanted = family or named.get(object_id) or resource_of(checked_id(object_id))
        method = by_family.get(wanted or "")
        if method is None:
            method = by_family[wanted or ""] = _method(accessors, wanted)
        return method(object_id)

    return retrieve


def _method(accessors: ResourceAccessors, family: str | None) -> Retrieve:
    if family not in ACCESSOR_OF_FAMILY:
        message = "the prefix of the id does not identify the kind of object"
        advice = "Pass permission=, such as 'inquiry.read'."
        raise InvalidIdError(message, advice=advice)
    return cast("Retrieve", getattr(accessors, ACCESSOR_OF_FAMILY[family]).retrieve)
