"""The endpoints of the API: one line each, one class for each kind of object.

Persona does not document which permission an endpoint needs. The names follow the
permission families of API keys (``inquiry.read``, ``txn.write``, …). To add an endpoint,
see ``docs/contributing/endpoint.md``.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Final

import attrs

from persona_share._protocol.http import Expects
from persona_share.errors import InvalidArgumentError
from persona_share.model.ids import checked_id, prefix_for, require_prefix


METHODS: Final = ("GET", "POST", "PATCH", "DELETE")

_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")


@attrs.frozen
class Route:
    """One endpoint.

    ``permission`` is the permission that a scoped token needs on the object in the
    path, or None if it is not documented. A POST is ``repeatable`` if repeating it has
    no further effect. ``reconcile`` names the call that shows whether a POST took
    effect if its response is lost. ``open_ended`` says that the service decides which
    objects the response contains.
    """

    method: str
    template: str
    permission: str | None = attrs.field(default=None, kw_only=True)
    expects: Expects = attrs.field(default=Expects.JSON, kw_only=True)
    repeatable: bool = attrs.field(default=False, kw_only=True)
    reconcile: str | None = attrs.field(default=None, kw_only=True)
    open_ended: bool = attrs.field(kw_only=True)
    # The template as a format, the names of its placeholders, and the prefixes of their
    # ids.
    _format: str = attrs.field(init=False, repr=False, eq=False)
    _parameters: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)
    _prefixes: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    @open_ended.default
    def _names_no_object(self) -> bool:
        return "{" not in self.template

    @_format.default
    def _as_format(self) -> str:
        return _PLACEHOLDER.sub("%s", self.template.replace("%", "%%"))

    @_parameters.default
    def _split_parameters(self) -> tuple[str, ...]:
        return tuple(_PLACEHOLDER.findall(self.template))

    @_prefixes.default
    def _split_prefixes(self) -> tuple[str, ...]:
        return tuple(map(prefix_for, self._parameters))

    @property
    def operation(self) -> str:
        """The method and the documented path."""
        return f"{self.method} {self.template}"

    def path(self, *object_ids: str) -> str:
        """Return the path with these ids in place of its placeholders, in order.

        Raises `InvalidIdError` for an invalid id, or the id of another kind of object.
        """
        texts = []
        parts = zip(object_ids, self._parameters, self._prefixes, strict=True)
        for object_id, parameter, prefix in parts:
            text = checked_id(object_id, parameter)
            if not text.startswith(prefix):
                require_prefix(text, parameter)
            texts.append(text)
        return self._format % tuple(texts)


@attrs.frozen
class Family:
    """The endpoints of one kind of object; they share a permission family."""

    permission: str | None
    plural: str

    def read(self, template: str, *, expects: Expects = Expects.JSON) -> Route:
        """Return a GET that needs the family's read permission."""
        return Route(
            "GET", template, permission=self._permission_to("read"), expects=expects
        )

    def search(self, template: str) -> Route:
        """Return a POST that changes nothing, so it is repeatable."""
        return Route(
            "POST", template, permission=self._permission_to("read"), repeatable=True
        )

    def create(self, template: str, reconcile: str | None = None) -> Route:
        """Return a POST that creates an object; by default, a listing reconciles it."""
        return Route(
            "POST",
            template,
            permission=self._permission_to("write"),
            reconcile=reconcile or f"{self.plural}.list(…)",
        )

    def act(
        self, template: str, *, repeatable: bool = False, reconcile: str | None = None
    ) -> Route:
        """Return a POST that acts on an object."""
        return Route(
            "POST",
            template,
            permission=self._permission_to("write"),
            repeatable=repeatable,
            reconcile=reconcile or f"{self.plural}.retrieve(id)",
        )

    def update(self, template: str) -> Route:
        """Return a PATCH."""
        return Route(
            "PATCH",
            template,
            permission=self._permission_to("write"),
            reconcile=f"{self.plural}.retrieve(id)",
        )

    def redact(self, template: str) -> Route:
        """Return a DELETE; its permission is not documented."""
        return Route("DELETE", template)

    def print(self, template: str) -> Route:
        """Return a GET of a PDF; its permission is not documented."""
        return Route("GET", template, expects=Expects.PDF)

    def _permission_to(self, verb: str) -> str | None:
        return f"{self.permission}.{verb}" if self.permission else None


class Routes:
    """The endpoints of one kind of object."""

    #: The routes that the mixins of `persona_share.resources.collection` call.
    RETRIEVE: ClassVar[Route]
    REDACT: ClassVar[Route]
    PRINT: ClassVar[Route]
    SEARCH: ClassVar[Route]
    ADD_TAG: ClassVar[Route]
    REMOVE_TAG: ClassVar[Route]
    SET_TAGS: ClassVar[Route]
    ADD_RELATION: ClassVar[Route]
    REMOVE_RELATION: ClassVar[Route]
    ADD_OBJECTS: ClassVar[Route]
    REMOVE_OBJECTS: ClassVar[Route]


class OAuthRoutes(Routes):
    """``/oauth``: codes and tokens."""

    AUTHORIZE = Route(
        "POST", "/oauth/authorize", expects=Expects.OAUTH, repeatable=True
    )
    TOKEN = Route("POST", "/oauth/token", expects=Expects.OAUTH)


class ConnectionRoutes(Routes):
    """``/connect/connections``: agreements; their permissions are not documented."""

    _family = Family(None, "connections")

    LIST = _family.read("/connect/connections")
    CREATE = _family.create(
        "/connect/connections", "connections.list(destination_organization_id=…)"
    )
    RETRIEVE = _family.read("/connect/connections/{connection-id}")
    DEACTIVATE = _family.act("/connect/connections/{connection-id}/deactivate")
    REACTIVATE = _family.act("/connect/connections/{connection-id}/reactivate")


class ShareTokenRoutes(Routes):
    """``/connect/share-tokens``: offers to redeem; their permissions are not documented."""

    _family = Family(None, "share_tokens")

    LIST = _family.read("/connect/share-tokens")
    CREATE = _family.create(
        "/connect/share-tokens", "share_tokens.list(connection_id=…), newest first"
    )
    RETRIEVE = _family.read("/connect/share-tokens/{share-token-id}")
    EXPIRE = _family.act(
        "/connect/share-tokens/{share-token-id}/expire", repeatable=True
    )
    REDEEM = _family.act("/connect/share-tokens/{share-token-id}/redeem")


class InquiryRoutes(Routes):
    """``/inquiries``."""

    _family = Family("inquiry", "inquiries")

    LIST = _family.read("/inquiries")
    SEARCH = _family.search("/inquiries/search")
    CREATE = _family.create("/inquiries", "inquiries.list(reference_id=…)")
    RETRIEVE = _family.read("/inquiries/{inquiry-id}")
    UPDATE = _family.update("/inquiries/{inquiry-id}")
    REDACT = _family.redact("/inquiries/{inquiry-id}")
    PRINT = _family.print("/inquiries/{inquiry-id}/print")
    APPROVE = _family.act("/inquiries/{inquiry-id}/approve")
    DECLINE = _family.act("/inquiries/{inquiry-id}/decline")
    MARK_FOR_REVIEW = _family.act("/inquiries/{inquiry-id}/mark-for-review")
    RESUME = _family.act("/inquiries/{inquiry-id}/resume")
    EXPIRE = _family.act("/inquiries/{inquiry-id}/expire")
    GENERATE_ONE_TIME_LINK = _family.act(
        "/inquiries/{inquiry-id}/generate-one-time-link"
    )
    PERFORM_SIMULATE_ACTIONS = _family.act(
        "/inquiries/{inquiry-id}/perform-simulate-actions"
    )
    ADD_TAG = _family.act("/inquiries/{inquiry-id}/add-tag")
    REMOVE_TAG = _family.act("/inquiries/{inquiry-id}/remove-tag")
    SET_TAGS = _family.act("/inquiries/{inquiry-id}/set-tags")


class InquirySessionRoutes(Routes):
    """``/inquiry-sessions``; their permissions are not documented."""

    _family = Family(None, "inquiry_sessions")

    LIST = _family.read("/inquiry-sessions")
    CREATE = _family.create("/inquiry-sessions", "inquiry_sessions.list(inquiry_id=…)")
    RETRIEVE = _family.read("/inquiry-sessions/{inquiry-session-id}")
    EXPIRE = _family.act("/inquiry-sessions/{inquiry-session-id}/expire")
    EXPIRE_ALL = _family.create(
        "/inquiry-sessions/expire-all", "inquiry_sessions.list(inquiry_id=…)"
    )
    GENERATE_ONE_TIME_LINK = _family.act(
        "/inquiry-sessions/{inquiry-session-id}/generate-one-time-link"
    )


class DeviceRoutes(Routes):
    """``/devices``; their permissions are not documented."""

    _family = Family(None, "devices")

    LIST = _family.read("/devices")
    RETRIEVE = _family.read("/devices/{device-id}")


class VerificationRoutes(Routes):
    """``/verifications`` of every type, and ``/verification/…`` of one type each."""

    _family = Family("verification", "verifications")

    RETRIEVE = _family.read("/verifications/{verification-id}")
    REDACT = _family.redact("/verifications/{verification-id}")
    PRINT = _family.print("/verifications/{verification-id}/print")
    INVESTIGATION_LOCK = _family.act(
        "/verifications/{verification-id}/investigation-lock"
    )
    INVESTIGATION_UNLOCK = _family.act(
        "/verifications/{verification-id}/investigation-unlock"
    )
    RETRIEVE_AAMVA = _family.read("/verification/aamvas/{verification-id}")
    RETRIEVE_DATABASE = _family.read("/verification/databases/{verification-id}")
    RETRIEVE_DATABASE_ECBSV = _family.read(
        "/verification/database-ecbsvs/{verification-id}"
    )
    RETRIEVE_DATABASE_PHONE_CARRIER = _family.read(
        "/verification/database-phone-carriers/{verification-id}"
    )
    RETRIEVE_DATABASE_SERPRO = _family.read(
        "/verification/database-serpros/{verification-id}"
    )
    RETRIEVE_DATABASE_STANDARD = _family.read(
        "/verification/database-standards/{verification-id}"
    )
    RETRIEVE_DATABASE_TIN = _family.read(
        "/verification/database-tins/{verification-id}"
    )
    RETRIEVE_DOCUMENT = _family.read("/verification/documents/{verification-id}")
    RETRIEVE_EMAIL_ADDRESS = _family.read(
        "/verification/email-addresses/{verification-id}"
    )
    RETRIEVE_GOVERNMENT_ID = _family.read(
        "/verification/government-ids/{verification-id}"
    )
    RETRIEVE_GOVERNMENT_ID_NFC = _family.read(
        "/verification/government-id-nfcs/{verification-id}"
    )
    RETRIEVE_PHONE_NUMBER = _family.read(
        "/verification/phone-numbers/{verification-id}"
    )
    RETRIEVE_SELFIE = _family.read("/verification/selfies/{verification-id}")


class DocumentRoutes(Routes):
    """``/documents`` of every type, and ``/document/…`` of one type each."""

    _family = Family("document", "documents")

    RETRIEVE = _family.read("/documents/{document-id}")
    RETRIEVE_GENERIC = _family.read("/document/generics/{document-id}")
    RETRIEVE_GOVERNMENT_ID = _family.read("/document/government-ids/{document-id}")


class AccountRoutes(Routes):
    """``/accounts``."""

    _family = Family("account", "accounts")

    LIST = _family.read("/accounts")
    SEARCH = _family.search("/accounts/search")
    CREATE = _family.create("/accounts", "accounts.list(reference_id=…)")
    RETRIEVE = _family.read("/accounts/{account-id}")
    UPDATE = _family.update("/accounts/{account-id}")
    REDACT = _family.redact("/accounts/{account-id}")
    CONSOLIDATE = _family.act("/accounts/{account-id}/consolidate")
    RUN_ACTION = _family.act("/accounts/{account-id}/run-action")
    RELATIONS = Route(
        "GET",
        "/accounts/{account-id}/relations",
        permission="account.read",
        open_ended=True,
    )
    ADD_RELATION = _family.act("/accounts/{account-id}/add-relation")
    REMOVE_RELATION = _family.act("/accounts/{account-id}/remove-relation")
    ADD_TAG = _family.act("/accounts/{account-id}/add-tag")
    REMOVE_TAG = _family.act("/accounts/{account-id}/remove-tag")
    SET_TAGS = _family.act("/accounts/{account-id}/set-tags")
    ADD_OBJECTS = _family.act("/accounts/{account-id}/add-objects")
    REMOVE_OBJECTS = _family.act("/accounts/{account-id}/remove-objects")


class TransactionRoutes(Routes):
    """``/transactions``, whose permissions are called ``txn``."""

    _family = Family("txn", "transactions")

    LIST = _family.read("/transactions")
    CREATE = _family.create("/transactions", "transactions.list(reference_id=…)")
    RETRIEVE = _family.read("/transactions/{transaction-id}")
    UPDATE = _family.update("/transactions/{transaction-id}")
    REDACT = _family.redact("/transactions/{transaction-id}")
    REDACT_BIOMETRICS = Route(
        "POST",
        "/transactions/{transaction-id}/redact-biometrics",
        reconcile="transactions.retrieve(id)",
    )
    LABEL = _family.act("/transactions/{transaction-id}/label")
    ADD_RELATION = _family.act("/transactions/{transaction-id}/add-relation")
    REMOVE_RELATION = _family.act("/transactions/{transaction-id}/remove-relation")
    ADD_TAG = _family.act("/transactions/{transaction-id}/add-tag")
    REMOVE_TAG = _family.act("/transactions/{transaction-id}/remove-tag")
    SET_TAGS = _family.act("/transactions/{transaction-id}/set-tags")
    ADD_OBJECTS = _family.act("/transactions/{transaction-id}/add-objects")
    REMOVE_OBJECTS = _family.act("/transactions/{transaction-id}/remove-objects")


class ReportRoutes(Routes):
    """``/reports``."""

    _family = Family("report", "reports")

    LIST = _family.read("/reports")
    CREATE = _family.create("/reports", "reports.list(reference_id=…)")
    RETRIEVE = _family.read("/reports/{report-id}")
    REDACT = _family.redact("/reports/{report-id}")
    PRINT = _family.print("/reports/{report-id}/print")
    HISTORY = _family.read("/reports/{report-id}/history")
    RUN = _family.act("/reports/{report-id}/run")
    PAUSE = _family.act("/reports/{report-id}/pause")
    RESUME = _family.act("/reports/{report-id}/resume")
    DISMISS = _family.act("/reports/{report-id}/dismiss")
    ADD_TAG = _family.act("/reports/{report-id}/add-tag")
    REMOVE_TAG = _family.act("/reports/{report-id}/remove-tag")
    SET_TAGS = _family.act("/reports/{report-id}/set-tags")
    REVIEW = _family.act("/reports/{report-id}/review")


class CaseRoutes(Routes):
    """``/cases``."""

    _family = Family("case", "cases")

    LIST = _family.read("/cases")
    SEARCH = _family.search("/cases/search")
    CREATE = _family.create("/cases", "cases.list(…), newest first")
    RETRIEVE = _family.read("/cases/{case-id}")
    UPDATE = _family.update("/cases/{case-id}")
    REDACT = _family.redact("/cases/{case-id}")
    ASSIGN = _family.act("/cases/{case-id}/assign")
    SET_STATUS = _family.act("/cases/{case-id}/set-status")
    ADD_OBJECTS = _family.act("/cases/{case-id}/add-objects")
    REMOVE_OBJECTS = _family.act("/cases/{case-id}/remove-objects")
    ADD_TAG = _family.act("/cases/{case-id}/add-tag")
    REMOVE_TAG = _family.act("/cases/{case-id}/remove-tag")
    SET_TAGS = _family.act("/cases/{case-id}/set-tags")
    ADD_COMMENT = _family.act("/cases/{case-id}/add-comment")


class EventRoutes(Routes):
    """``/events``."""

    _family = Family("event", "events")

    LIST = _family.read("/events")
    RETRIEVE = _family.read("/events/{event-id}")


class WebhookRoutes(Routes):
    """``/webhooks``."""

    _family = Family("webhook", "webhooks")

    LIST = _family.read("/webhooks")
    CREATE = _family.create("/webhooks", "webhooks.list()")
    RETRIEVE = _family.read("/webhooks/{webhook-id}")
    UPDATE = _family.update("/webhooks/{webhook-id}")
    ARCHIVE = _family.act("/webhooks/{webhook-id}/archive")
    ENABLE = _family.act("/webhooks/{webhook-id}/enable")
    DISABLE = _family.act("/webhooks/{webhook-id}/disable")
    ROTATE_SECRET = _family.act("/webhooks/{webhook-id}/rotate-secret")
    CLONE = _family.act("/webhooks/{webhook-id}/clone", reconcile="webhooks.list()")


class WebhookEventRoutes(Routes):
    """``/webhook-events``: the deliveries of webhooks."""

    SEARCH = Family("webhook", "webhook_events").search("/webhook-events/search")


class InquiryTemplateRoutes(Routes):
    """``/inquiry-templates``; their permissions are not documented."""

    _family = Family(None, "inquiry_templates")

    LIST = _family.read("/inquiry-templates")
    RETRIEVE = _family.read("/inquiry-templates/{inquiry-template-id}")


class AccountTypeRoutes(Routes):
    """``/account-types``."""

    RETRIEVE = Family("account_type", "account_types").read(
        "/account-types/{account-type-id}"
    )


class TransactionTypeRoutes(Routes):
    """``/transaction-types``; their permissions are not documented."""

    RETRIEVE = Family(None, "transaction_types").read(
        "/transaction-types/{transaction-type-id}"
    )


class WorkflowRoutes(Routes):
    """``/workflows`` and the runs of workflows."""

    _family = Family(None, "workflows")

    TRIGGER = Route(
        "POST",
        "/workflows/{workflow-id}/trigger",
        permission="workflow.trigger",
        reconcile="workflows.list_runs()",
    )
    RETRIEVE_RUN = _family.read("/workflow-runs/{workflow-run-id}")
    LIST_RUNS = _family.read("/workflow-runs")
    LIST_VERSIONS = _family.read("/workflow-versions")


class BatchJobRoutes(Routes):
    """``/batch-jobs``: many rows in one request; their permissions are not documented."""

    _family = Family(None, "batch_jobs")

    CREATE = _family.create("/batch-jobs", "the objects that the rows name")
    RETRIEVE = _family.read("/batch-jobs/{batch-job-id}")
    ERRORS = _family.read("/batch-jobs/{batch-job-id}/errors")


class ApiKeyRoutes(Routes):
    """``/api-keys``."""

    _family = Family("api_key", "api_keys")

    LIST = _family.read("/api-keys")
    CREATE = _family.create("/api-keys", "api_keys.list(name=…)")
    RETRIEVE = _family.read("/api-keys/{api-key-id}")
    UPDATE = _family.update("/api-keys/{api-key-id}")
    EXPIRE = _family.act("/api-keys/{api-key-id}/expire")
    CLONE = _family.act("/api-keys/{api-key-id}/clone", reconcile="api_keys.list(…)")


class ApiLogRoutes(Routes):
    """``/api-logs``."""

    _family = Family("api_log", "api_logs")

    LIST = _family.read("/api-logs")
    RETRIEVE = _family.read("/api-logs/{api-log-id}")


class RateLimitRoutes(Routes):
    """``/rate-limits``, which every credential may read."""

    LIST = Family(None, "rate_limits").read("/rate-limits")


@cache
def routes() -> tuple[Route, ...]:
    """Return every endpoint that a resource class calls."""
    return tuple(
        route
        for kind in Routes.__subclasses__()
        for route in vars(kind).values()
        if isinstance(route, Route)
    )


@cache
def _patterns() -> Mapping[tuple[str, int], tuple[tuple[Route, re.Pattern[str]], ...]]:
    """Return the endpoints by method and number of segments."""
    found: dict[tuple[str, int], tuple[tuple[Route, re.Pattern[str]], ...]] = {}
    for route in routes():
        key = route.method, route.template.count("/")
        found[key] = (*found.get(key, ()), (route, _pattern(route)))
    return found


def _pattern(route: Route) -> re.Pattern[str]:
    literals = _PLACEHOLDER.split(route.template)[0::2]
    return re.compile("([A-Za-z0-9_-]{1,128})".join(map(re.escape, literals)))


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Return the route of a path and the ids in it, or None."""
    for route, pattern in _patterns().get((method, path.count("/")), ()):
        if found := pattern.fullmatch(path):
            return route, found.groups()
    return None


def fill_template(
    method: str, template: str, params: Mapping[str, str]
) -> tuple[str, str]:
    """Return the method and path of any endpoint, with its parameters inserted.

    Raises `InvalidArgumentError` if method, path or parameters are invalid.
    """
    if method.upper() not in METHODS:
        message = f"method must be one of {', '.join(METHODS)}"
        raise InvalidArgumentError(message)
    names = _PLACEHOLDER.findall(template)
    if set(names) != set(params):
        message = (
            f"path_params must be exactly {sorted(set(names))}, not {sorted(params)}"
        )
        raise InvalidArgumentError(message)
    path = _PLACEHOLDER.sub(
        lambda found: checked_id(params[found[1]], found[1]), template
    )
    first, *segments = path.split("/")
    if first or not segments or not all(map(_is_segment, segments)):
        message = (
            "path must look like '/inquiries/{inquiry-id}': begin with '/', with only "
            "letters, digits, '_', '-', '.', '~' between slashes; pass a query as query="
        )
        raise InvalidArgumentError(message)
    return method.upper(), path


def _is_segment(text: str) -> bool:
    return _LITERAL.fullmatch(text) is not None and set(text) != {"."}
