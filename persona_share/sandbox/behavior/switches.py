"""One named switch for each behavior of Persona that its documentation leaves open.

The default is the plainest reading of the documentation, or what was seen on the live
service. A client must work under every other value too.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import attrs

from persona_share.errors import ConfigurationError


# ruff: noqa: S105  # settings about tokens, no secrets


def _checked(_switches: object, switch: "attrs.Attribute[Any]", value: Any) -> Any:
    """Return a value that a switch takes; raises `ValueError` for any other."""
    kind: Any = switch.type
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        takes, fits = list(choices), value in choices
    elif kind in (bool, int, str):
        takes = kind.__name__
        fits = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    else:
        return value
    if not fits:
        message = f"the switch {switch.name} takes {takes}, not {value!r}"
        raise ValueError(message)
    return value


@attrs.define(kw_only=True, on_setattr=_checked)
class Switches:
    """Undocumented behaviors; a change applies to the next request.

    Setting a value that a switch does not take raises `ValueError`.
    """

    # ── Authorization codes ─────────────────────────────────────────────────────
    #: Status for a code that was already exchanged.
    used_code_status: int = 400
    #: Status for an expired code.
    expired_code_status: int = 400
    #: Status for a code issued to another organization or environment.
    foreign_code_status: int = 404
    #: Status for a code that does not exist.
    unknown_code_status: int = 404
    #: False accepts a code again until it expires.
    code_is_single_use: bool = True
    #: Whether a second exchange of a code revokes the tokens of the first.
    reuse_revokes_token: bool = True
    #: Seconds by which a code outlives its announced lifetime; may be negative.
    code_lifetime_slack: float = 0.0

    # ── Authorization ───────────────────────────────────────────────────────────
    #: False responds 403: the operation is enabled per customer.
    oauth_enabled: bool = True
    #: False issues codes for objects that do not exist; reading them gives 404.
    authorize_checks_objects: bool = True
    #: Status for a scope with an object that is missing or belongs to another owner.
    unknown_object_status: int = 404
    #: Status for a scope with an unknown permission.
    unknown_permission_status: int = 400
    #: Status for a ``client-id`` that is not an organization.
    unknown_client_status: int = 404
    #: The largest number of pairs in a scope; more give 400.
    max_scope_pairs: int | None = None
    #: Whether an access token may call the OAuth operations.
    token_may_call_oauth: bool = False

    # ── Access tokens ───────────────────────────────────────────────────────────
    #: The status of a successful authorize or exchange.
    success_status: int = 201
    #: The spelling of ``token-type``.
    token_casing: Literal["bearer", "Bearer"] = "bearer"
    #: Whether a new token revokes older ones of the same scope and holder.
    second_token_revokes_first: bool = False
    #: Seconds after issuance during which a token gets 401.
    new_token_401_seconds: float = 0.0
    #: Seconds by which a token outlives its announced lifetime; may be negative.
    lifetime_slack: float = 0.0
    #: Status for an expired token.
    expired_token_status: Literal[401, 403] = 401
    #: Status for a revoked token.
    revoked_token_status: Literal[401, 403] = 401
    #: Status for a request outside the token's scope.
    out_of_scope_status: Literal[401, 403, 404] = 403
    #: The order of the granted scope.
    scope_order: Literal["as_given", "canonical", "shuffled"] = "as_given"
    #: Whether a pair that was requested twice is granted twice.
    scope_duplicates: Literal["dropped", "kept"] = "dropped"
    #: "lowered" accepts permissions in any case and grants them in lower case.
    scope_case: Literal["kept", "lowered"] = "kept"
    #: Turns the requested scope into the granted one.
    grants: Callable[[str], str] | None = None
    #: Whether an access token may list objects; it sees only its own.
    scoped_lists: Literal["filtered", "forbidden"] = "filtered"
    #: Whether an included object needs its own pair in the scope.
    included_needs_pair: bool = True
    #: The organization whose ids are in the ``Persona-*-Id`` headers for an access token.
    token_environment: Literal["source", "destination"] = "source"
    #: The organization whose API key sets the default version and inflection of a token.
    token_inherits: Literal["nothing", "issuer", "holder"] = "nothing"

    # ── Client credentials ──────────────────────────────────────────────────────
    #: Whether this grant needs an API key as well.
    client_credentials_need_bearer: bool = False
    #: Status for an assertion that does not verify.
    bad_assertion_status: int = 401
    #: Whether a ``jti`` may be used only once.
    jti_is_single_use: bool = True
    #: Accepted audiences besides the sandbox's own token endpoint.
    audiences: tuple[str, ...] = ()

    # ── Idempotency ─────────────────────────────────────────────────────────────
    #: Whether ``POST /oauth/token`` replays.
    oauth_replays: bool = True
    #: How a duplicate of an unfinished request is handled.
    inflight_duplicate: Literal["wait", "conflict", "run"] = "wait"
    #: The namespace in which a key is unique.
    key_namespace: Literal["api_key", "environment", "global"] = "api_key"
    #: Whether Persona-Version and Key-Inflection count as parameters.
    headers_are_parameters: bool = False
    #: Status for a key that is reused with other parameters.
    mismatch_status: int = 400
    #: Whether a replay reports the remaining seconds as ``expires-in``.
    replay_updates_expires_in: bool = False
    #: The Date header of a replay.
    replay_date: Literal["now", "first"] = "now"
    #: The name of a header that marks a replay.
    replay_marker: str | None = None
    #: The Request-Id of a replay.
    replay_request_id: Literal["first", "new"] = "first"
    #: Whether a replay counts against the rate limit.
    replay_counts_against_limit: bool = True
    #: Seconds for which an outcome is stored.
    key_retention: float = 24 * 3600
    #: Whether a 5xx of an operation is stored.
    keeps_server_errors: bool = True
    #: Whether PATCH replays as POST does.
    patch_replays: bool = False

    # ── Rate limits ─────────────────────────────────────────────────────────────
    #: How the seconds of RateLimit-Reset are rounded; "exact" sends a fraction.
    reset_rounding: Literal["up", "down", "exact"] = "up"
    #: The organization whose rate limit the requests of a token count against.
    limit_of_scoped_token: Literal["source", "destination"] = "destination"
    #: A limit for each API key, besides that of its environment.
    key_limit: int | None = None
    #: Whether a 401 has the RateLimit headers.
    rate_limit_headers_on_401: bool = False
    #: Whether a 429 has Retry-After.
    retry_after_on_429: bool = False
    #: Requests per minute to the OAuth operations, as a product quota.
    oauth_quota: int | None = None
    #: The prefix of the quota headers.
    quota_prefix: Literal["Quota", "QuotaLimit"] = "Quota"
    #: Status for a request over quota.
    quota_status: Literal[429, 403] = 429

    # ── Connections ─────────────────────────────────────────────────────────────
    #: Seconds after which a destination accepts a connection; None waits for
    #: `Sandbox.accept_connection`.
    accepts_after: float | None = None
    #: Whether a second live connection to the same organization is a conflict.
    one_connection_per_destination: bool = False
    #: Status for an operation that only the source organization may call.
    not_the_source_status: Literal[403, 404, 409, 422] = 403
    #: Whether an access token may call Connect.
    token_may_call_connect: bool = False

    # ── Share tokens ────────────────────────────────────────────────────────────
    #: Status for a share token that cannot be created.
    share_refusal_status: Literal[400, 404, 409, 422] = 422
    #: Whether a share token may be created while its connection is pending.
    shares_on_pending: bool = True
    #: Status for a change that the share token's status does not allow.
    share_conflict_status: Literal[409, 422] = 409
    #: Status for a redemption that its source or environment does not allow.
    redeem_refusal_status: Literal[403, 404, 409, 422] = 422
    #: The organization that may expire a share token.
    expires_by: Literal["source", "either"] = "either"
    #: Whether a failed share token may be redeemed again.
    failed_can_be_redeemed: bool = False
    #: Seconds that a redemption takes; infinity leaves it pending forever.
    redemption_seconds: float = 2.0
    #: The status of an inquiry after it was hydrated and run.
    hydrated_status: Literal["completed", "approved", "created", "pending"] = (
        "completed"
    )
    #: Whether field mappings in a clone request are refused or ignored.
    mappings_with_clone: Literal["refused", "ignored"] = "refused"
    #: Whether organizations have the capability to peek at source data.
    can_peek: bool = True
    #: The direction of a share token from an organization to itself.
    self_direction: str = "outbound"
    #: The format of share tokens: today's, the open beta's (relationship
    #: ``connect-connection``, attribute ``source-id``), or the closed beta's
    #: (``bridge-id``, status ``new``, no relationships).
    share_shape: Literal["current", "open_beta", "closed_beta"] = "current"

    # ── Lists and searches ──────────────────────────────────────────────────────
    #: Whether page links repeat the filters and the page size.
    links_repeat_query: bool = False
    #: Whether ``GET /verifications`` is served; the description does not have it.
    lists_verifications: bool = False
    #: Seconds until a change can be found by a search; about 60 are documented.
    search_delay: float = 0.0

    # ── Requests ────────────────────────────────────────────────────────────────
    #: Whether an undocumented parameter or attribute gives 400.
    refuses_unknown: bool = True
    #: Whether a 400 points to the attribute at fault in ``source.pointer``.
    error_pointers: bool = False
    #: Status for an API key without the permission, except for inquiry templates.
    missing_permission_status: Literal[401, 403] = 403
    #: Status for an API key without the permission for inquiry templates.
    template_permission_status: Literal[401, 403] = 401

    # ── Objects ─────────────────────────────────────────────────────────────────
    #: False requires separate scope pairs for inquiry sessions and devices.
    sessions_come_with_inquiry: bool = True
    #: Whether an access token may print a PDF of what it may read.
    scoped_print: bool = True
    #: Whether an access token may redact what it may write.
    scoped_redact: bool = True
    #: Status for a change that the object's status does not allow.
    state_conflict_status: Literal[409, 422] = 409
    #: Status for the id of an unknown object in a body.
    unknown_reference_status: Literal[404, 422] = 422
    #: Whether a new inquiry may only have fields that its template declares.
    creation_checks_fields: bool = True
    #: Whether accounts, transactions and cases may only have declared fields.
    others_check_fields: bool = False
    #: Whether tags of other objects than inquiries and accounts become upper case.
    other_tags_in_capitals: bool = False
    #: The status of a successful consolidation: 200 was seen, 202 is documented.
    consolidate_status: Literal[200, 202] = 200
    #: Whether an inquiry may be decided before it is completed.
    decides_unfinished: bool = True
    #: Seconds until a requested report is ready.
    report_seconds: float = 0.0
    #: Seconds until a triggered workflow run is completed.
    workflow_seconds: float = 0.0
    #: Seconds until a batch job is completed.
    batch_job_seconds: float = 0.0
    #: Whether redacting an inquiry redacts its related objects at once.
    redacts_related_at_once: bool = True

    # ── Files ───────────────────────────────────────────────────────────────────
    #: Seconds for which a file URL is valid.
    file_lifetime: float = 6 * 3600
    #: Status for an expired file URL.
    expired_file_status: Literal[403, 404] = 403
    #: Status for a file URL with a wrong access token.
    foreign_file_status: Literal[403, 404] = 404

    # ── Webhooks ────────────────────────────────────────────────────────────────
    #: The guide lists 200, 201, 202 and 204; the description says any 2xx.
    webhook_success: Literal["any_2xx", "listed"] = "any_2xx"
    #: Real seconds within which a webhook endpoint must respond.
    webhook_timeout: float = 5.0
    #: The order of the two signatures during a secret rotation.
    rotation_order: Literal["newest_first", "oldest_first"] = "newest_first"


@attrs.frozen(kw_only=True)
class Limits:
    """The largest number of entries of each table.

    A dropped object, code or token is unknown to later requests; a dropped
    idempotency key runs again.
    """

    #: Requests in `Log`.
    log_entries: int = 100_000
    #: Objects of each type, except events.
    objects: int = 20_000
    #: Events, and webhook deliveries.
    events: int = 5_000
    #: Authorization codes, and access tokens.
    credentials: int = 20_000
    #: The total size of all files, in bytes.
    file_bytes: int = 200_000_000
    #: Share tokens, and connections.
    share_tokens: int = 10_000
    #: Outcomes by idempotency key.
    idempotency_keys: int = 10_000
    #: Requests whose headers and bodies the inspector shows, bodies up to 64 KiB.
    inspected_requests: int = 500

    def __attrs_post_init__(self) -> None:
        """Refuse a limit below 1."""
        if min(attrs.astuple(self)) < 1:
            message = "a limit of the sandbox must be at least 1"
            raise ConfigurationError(message)


def drop_oldest(table: dict[str, Any], limit: int) -> None:
    """Drop the oldest entry of a table with more entries than its limit."""
    if len(table) > limit:
        del table[next(iter(table))]
