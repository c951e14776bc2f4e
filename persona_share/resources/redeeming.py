"""Redemptions: how to wait for one, and what to believe when an answer was lost."""

from collections.abc import Awaitable
from typing import Protocol, assert_never

from persona_share._policy.polling import pause
from persona_share._policy.redemption import Trace, is_final, trace_of
from persona_share.errors import (
    ApiError,
    ConflictError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PersonaError,
    Phase,
    RedemptionFailedError,
    RedemptionPendingError,
    ShareTokenExpiredError,
    TransportError,
    UnprocessableError,
)
from persona_share.model.ids import checked_id
from persona_share.model.share_token import Redemption, ShareToken, ShareTokenStatus
from persona_share.ports import Runtime


#: What the service may answer where the state does not allow a call any more.
Refusal = ConflictError | UnprocessableError


class Retrieve(Protocol):
    """Reads a share token."""

    def __call__(
        self, share_token_id: str, /, *, timeout: float = ...
    ) -> Awaitable[ShareToken]:
        """Answer its state."""
        ...


async def settled(
    retrieve: Retrieve,
    share_token_id: str,
    destination_id: str | None,
    lost: OutcomeUnknownError | Refusal,
) -> ShareToken:
    """Answer the state that a redeem call without an answer led to, or raise it again.

    A refusal by the token's state (which of 409 and 422 that is, no document says) is
    such a one if an earlier attempt of the call may have taken effect.
    """
    if not isinstance(lost, OutcomeUnknownError) and not _in_doubt(lost):
        raise lost
    token = await _read(retrieve, share_token_id)
    if token is not None:
        trace = trace_of(token, destination_id)
        match trace:
            case Trace.OURS:
                return token
            case Trace.NONE:
                lost.advice = (
                    "It was not redeemed so far; redeem it with the same "
                    "idempotency_key, so that it cannot happen twice."
                )
            case Trace.ANOTHER:
                lost.advice = "It was redeemed in another way than this call asked for."
            case _:
                assert_never(trace)
    raise lost


async def ended(
    retrieve: Retrieve, share_token_id: str, refusal: Refusal
) -> ShareToken:
    """Answer a share token that had been ended before, or raise the refusal (F37)."""
    token = await _read(retrieve, share_token_id)
    if token is None or token.status != ShareTokenStatus.EXPIRED:
        raise refusal
    return token


async def waited(
    retrieve: Retrieve, share_token_id: str, runtime: Runtime, seconds: float
) -> Redemption:
    """Answer a redemption when it is done; its source is `ShareTokens.wait`."""
    checked_id(share_token_id, "share_token_id")
    if isinstance(seconds, bool) or not seconds > 0:
        message = "timeout must be more than 0 seconds"
        raise InvalidArgumentError(message)
    clock = runtime.clock
    deadline = clock.now() + seconds
    asked, last, failed = 0, None, None
    while (left := deadline - clock.now()) > 0:
        asked += 1
        seen = await _asked(retrieve, share_token_id, left)
        if isinstance(seen, ShareToken):
            last, failed = seen, None
            if is_final(seen):
                return _outcome(seen)
        else:
            failed = seen
        await clock.sleep(pause(asked, runtime.random(), deadline - clock.now()))
    if last is None and failed is not None:
        raise failed
    status = str(last.status) if last is not None and last.status else None
    message = f"still {status or 'unknown'} after {seconds:g} s"
    raise RedemptionPendingError(
        message, share_token_id=share_token_id, last_status=status
    )


async def _asked(
    retrieve: Retrieve, share_token_id: str, left: float
) -> ShareToken | PersonaError:
    """Answer the state, or the error that asking again may get past."""
    try:
        return await retrieve(share_token_id, timeout=left)
    except (ApiError, TransportError) as error:
        if not error.retryable:
            raise
        return error


def _outcome(token: ShareToken) -> Redemption:
    if token.status == ShareTokenStatus.REDEEMED:
        return Redemption(token=token)
    if token.status == ShareTokenStatus.EXPIRED:
        message = "the share token expired before it was redeemed"
        raise ShareTokenExpiredError(message, share_token_id=token.id)
    reason = token.failure_reason
    message = f"the redemption failed: {reason or 'no reason given'}"
    raise RedemptionFailedError(
        message, share_token_id=token.id, reason=str(reason) if reason else None
    )


async def _read(retrieve: Retrieve, share_token_id: str) -> ShareToken | None:
    try:
        return await retrieve(share_token_id)
    except (ApiError, TransportError):
        return None


def _in_doubt(error: ApiError) -> bool:
    """Answer whether an attempt before the last may have taken effect, unseen."""
    return any(
        attempt.phase is Phase.AMBIGUOUS or (attempt.status or 0) >= 500  # noqa: PLR2004
        for attempt in error.attempts[:-1]
    )
