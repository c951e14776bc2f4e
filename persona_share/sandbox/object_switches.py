"""The open behaviours of objects, lists, files and webhooks."""

from typing import Literal

import attrs


@attrs.define(kw_only=True)
class ObjectSwitches:
    """What the documents leave open about everything that is not OAuth or Connect."""

    # ── Lists and searches ──────────────────────────────────────────────────────
    #: U12: whether the links repeat the filter and the size.
    links_repeat_query: bool = False
    #: The published description has no such operation; True serves it all the same.
    lists_verifications: bool = False
    #: Seconds before a change can be found by a search; about 60 are documented.
    search_delay: float = 0.0

    # ── Requests ────────────────────────────────────────────────────────────────
    #: Whether a parameter or attribute that no operation names is a bad request.
    refuses_unknown: bool = True

    # ── Objects ─────────────────────────────────────────────────────────────────
    #: U5: False wants a pair of their own for inquiry sessions and devices.
    sessions_come_with_inquiry: bool = True
    #: U5: whether a scoped token may print a PDF of what it may read.
    scoped_print: bool = True
    #: U5: whether a scoped token may redact what it may write.
    scoped_redact: bool = True
    #: What a change is answered that the state does not allow.
    state_conflict_status: Literal[409, 422] = 409
    #: What an id in a body is answered that names nothing.
    unknown_reference_status: Literal[404, 422] = 422
    #: Whether an inquiry may be decided on before it is completed.
    decides_unfinished: bool = True
    #: Seconds until a report that was asked for is ready.
    report_seconds: float = 0.0
    #: Whether redacting an inquiry redacts what belongs to it in the same moment.
    redacts_kin_at_once: bool = True

    # ── Files ───────────────────────────────────────────────────────────────────
    #: Seconds for which a file URL is good, from the answer that named it.
    file_lifetime: float = 6 * 3600
    #: What a file URL is answered whose time is over.
    expired_file_status: Literal[403, 404] = 403
    #: What a file URL with a wrong access token is answered.
    foreign_file_status: Literal[403, 404] = 404

    # ── Webhooks ────────────────────────────────────────────────────────────────
    #: The guide lists 200, 201, 202 and 204; the description says any 2xx.
    webhook_success: Literal["any_2xx", "listed"] = "any_2xx"
    #: Real seconds within which a webhook has to answer.
    webhook_timeout: float = 5.0
    #: The order of the two signatures while a secret is being rotated.
    rotation_order: Literal["newest_first", "oldest_first"] = "newest_first"
