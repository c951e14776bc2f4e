"""The open behaviours of Connect: connections and share tokens."""

from typing import Literal

import attrs

from persona_share.sandbox.object_switches import ObjectSwitches


@attrs.define(kw_only=True)
class SharingSwitches(ObjectSwitches):
    """What the documents leave open about Connect."""

    # ── Connections ─────────────────────────────────────────────────────────────
    #: Seconds after which a partner accepts by itself; None waits for
    #: `Sandbox.accept_connection`.
    accepts_after: float | None = None
    #: Whether a second live connection to the same organization is a conflict.
    one_connection_per_destination: bool = False
    #: What an organization is answered that only the source may do.
    not_the_source_status: Literal[403, 404, 409, 422] = 403
    #: U5: whether an access token may call Connect.
    token_may_call_connect: bool = False

    # ── Share tokens ────────────────────────────────────────────────────────────
    #: Status for a share token that cannot be made; the operation knows no 404.
    share_refusal_status: Literal[400, 409, 422] = 422
    #: U10: whether a share token may be made while its connection is pending.
    shares_on_pending: bool = True
    #: What a change is answered that the share token's state does not allow.
    share_conflict_status: Literal[409, 422] = 409
    #: What a redemption is answered that its source or environment does not allow.
    redeem_refusal_status: Literal[403, 404, 409, 422] = 422
    #: U10: who may expire a share token.
    expires_by: Literal["source", "either"] = "either"
    #: U10: whether a share token may be redeemed once more after it failed.
    failed_can_be_redeemed: bool = False
    #: Seconds that a redemption takes; infinity leaves it pending for ever.
    redemption_seconds: float = 2.0
    #: What becomes of an inquiry that was hydrated and then run.
    hydrated_status: Literal["completed", "approved", "created", "pending"] = (
        "completed"
    )
    #: Field mappings belong to hydration: what they do in a clone request.
    mappings_with_clone: Literal["refused", "ignored"] = "refused"
    #: Whether organizations have the capability to peek at source data.
    can_peek: bool = True
    #: The direction of a share token from an organization to itself.
    self_direction: str = "outbound"
    #: The shape of share tokens: today's, that of the open beta (relationship
    #: ``connect-connection``, attribute ``source-id``), or that of the closed one
    #: (``bridge-id``, status ``new``, no relationships).
    share_shape: Literal["current", "open_beta", "closed_beta"] = "current"
