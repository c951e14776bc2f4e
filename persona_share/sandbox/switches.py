"""One named switch for every behaviour of Persona that its documents leave open.

The default of each is the plainest reading of the documents; a client has to stay
right under every other setting. The letters in the comments name the open question
(P: probes of the token's life, U: unknowns of the API's description, R: open points of
the retry policy).
"""

# ruff: noqa: S105  # settings about tokens, with no secret in them

from collections.abc import Callable
from typing import Literal

import attrs

from persona_share.sandbox.sharing_switches import SharingSwitches


@attrs.define(kw_only=True)
class Switches(SharingSwitches):
    """The open behaviours; change them at any time, the next request sees it."""

    # ── Codes ───────────────────────────────────────────────────────────────────
    #: P3, U2: what an exchange of a code answers that was exchanged before.
    used_code_status: int = 400
    #: P3, U2: … of a code whose time is up.
    expired_code_status: int = 400
    #: P3, U2: … of a code for another organization or environment.
    foreign_code_status: int = 404
    #: P3, U2: … of a code that never was.
    unknown_code_status: int = 404
    #: U1, R2: False lets a code be exchanged again and again until its time is up.
    code_is_single_use: bool = True
    #: P4, U1, R2: a second exchange of a code ends the tokens of the first.
    reuse_revokes_token: bool = True
    #: P11: seconds by which a code lives longer (or shorter) than it is meant to.
    code_lifetime_slack: float = 0.0

    # ── Authorizing ─────────────────────────────────────────────────────────────
    #: False answers 403: the operation is enabled per customer.
    oauth_enabled: bool = True
    #: False hands out codes for objects that do not exist; reading them is a 404.
    authorize_checks_objects: bool = True
    #: Status for an object that does not exist or belongs to somebody else.
    unknown_object_status: int = 404
    #: Status for a permission that is not in the list.
    unknown_permission_status: int = 400
    #: Status for a ``client-id`` that is no organization.
    unknown_client_status: int = 404
    #: The most pairs of one scope; more answer 400.
    max_scope_pairs: int | None = None
    #: U5: whether an access token may call the OAuth operations.
    token_may_call_oauth: bool = False

    # ── Tokens ──────────────────────────────────────────────────────────────────
    #: The status of a successful authorize or exchange.
    success_status: int = 201
    #: The spelling of ``token-type``.
    token_casing: Literal["bearer", "Bearer"] = "bearer"
    #: P9, U4: a new token for the same scope and holder ends the older one.
    second_token_revokes_first: bool = False
    #: P10: seconds after minting in which the token is answered with 401.
    mint_grace_401: float = 0.0
    #: P11: seconds by which a token lives longer (or shorter) than it is meant to.
    lifetime_slack: float = 0.0
    #: U3: what an expired token is answered.
    expired_token_status: Literal[401, 403] = 401
    #: U3: what a revoked token is answered.
    revoked_token_status: Literal[401, 403] = 401
    #: U5: what a call outside the token's scope is answered.
    out_of_scope_status: Literal[403, 404] = 403
    #: P12: the order of the granted scope.
    scope_order: Literal["as_given", "canonical", "shuffled"] = "as_given"
    #: P12: whether a pair that was asked for twice is named twice.
    scope_duplicates: Literal["dropped", "kept"] = "dropped"
    #: P12: "lowered" takes permissions in any case and grants them in lower case.
    scope_case: Literal["kept", "lowered"] = "kept"
    #: Turns the scope that was asked for into the one that is granted.
    grants: Callable[[str], str] | None = None
    #: U5: whether an access token may list, seeing its own objects only.
    scoped_lists: Literal["filtered", "forbidden"] = "filtered"
    #: U5: whether an included object needs a pair of its own in the scope.
    included_needs_pair: bool = True
    #: U6: which organization's ids the headers of a token's answers name.
    token_environment: Literal["source", "destination"] = "source"
    #: U6: whose version and inflection a token has when no header says so.
    token_inherits: Literal["nothing", "issuer", "holder"] = "nothing"

    # ── Client credentials (U9) ─────────────────────────────────────────────────
    #: Whether this grant needs an API key, too.
    machine_grant_needs_bearer: bool = False
    #: Status for an assertion that does not verify.
    bad_assertion_status: int = 401
    #: Whether a ``jti`` may be used once only.
    jti_is_single_use: bool = True
    #: Audiences that are accepted besides the sandbox's own token endpoint.
    audiences: tuple[str, ...] = ()

    # ── Idempotency ─────────────────────────────────────────────────────────────
    #: P1, R1: whether ``POST /oauth/token`` replays.
    oauth_replays: bool = True
    #: P2, U7, R3: what a duplicate of an unfinished request does.
    inflight_duplicate: Literal["wait", "conflict", "run"] = "wait"
    #: P5, U7: among whom a key is unique.
    key_namespace: Literal["api_key", "environment", "global"] = "api_key"
    #: P6: whether Persona-Version and Key-Inflection count as parameters.
    headers_are_parameters: bool = False
    #: U7: status for a key that comes back with other parameters.
    mismatch_status: int = 400
    #: P7: whether a replay names the seconds that are left now.
    replay_updates_expires_in: bool = False
    #: P7: the Date header of a replay.
    replay_date: Literal["now", "first"] = "now"
    #: P7: a header that marks a replay.
    replay_marker: str | None = None
    #: R5: the Request-Id of a replay.
    replay_request_id: Literal["first", "new"] = "first"
    #: P8: whether a replay counts against the rate limit.
    replay_counts_against_limit: bool = True
    #: P13: seconds for which an outcome is kept.
    key_retention: float = 24 * 3600
    #: P14, R4: whether a 5xx that reached the layer is kept.
    keeps_server_errors: bool = True
    #: R8: whether PATCH replays as POST does.
    patch_replays: bool = False

    # ── Limits ──────────────────────────────────────────────────────────────────
    #: How the seconds of RateLimit-Reset are rounded; "exact" sends a fraction.
    reset_rounding: Literal["up", "down", "exact"] = "up"
    #: U6, R9: whose window a scoped token's calls count in.
    limit_of_scoped_token: Literal["source", "destination"] = "destination"
    #: A limit of each API key, besides its environment's.
    key_limit: int | None = None
    #: R10: whether a 401 carries the RateLimit headers.
    rate_limit_headers_on_401: bool = False
    #: R6: whether a 429 carries Retry-After.
    retry_after_on_429: bool = False
    #: R7: requests a minute to the OAuth operations, as a product quota.
    oauth_quota: int | None = None
    #: R7: what the quota headers are called.
    quota_prefix: Literal["Quota", "QuotaLimit"] = "Quota"
    #: R7: what a call over quota is answered.
    quota_status: Literal[429, 403] = 429
