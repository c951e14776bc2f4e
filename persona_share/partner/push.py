"""Delivery of codes to a partner's inbox, repeated until somebody has them."""

from typing import Final

from persona_share.errors import CodeDeliveryError, PersonaError, UsageError
from persona_share.model.scope import Scope
from persona_share.model.token import AuthorizationCode
from persona_share.partner.client import SignedPost, read_problem, retry_after
from persona_share.partner.keys import SigningKey
from persona_share.ports import Runtime


_ACKNOWLEDGED: Final = frozenset({200, 204})
_REPEATED: Final = frozenset({408, 409, 429, 500, 502, 503, 504})
_BACKOFF: Final = 1.0
_LONGEST_BACKOFF: Final = 30.0
_NOTHING: Final = Scope()
#: One delivery takes no longer, so that a silent inbox is asked again.
_ATTEMPT_TIMEOUT: Final = 10.0
#: Used where Persona did not say how long a code lives.
_ASSUMED_LIFETIME: Final = 590.0


async def deliver(
    code: AuthorizationCode,
    inbox: str,
    *,
    issuer: str,
    key: SigningKey,
    runtime: Runtime,
) -> None:
    """Deliver a code until the inbox acknowledges it or the code expires.

    Raises:
        CodeDeliveryError: it was refused, or nobody acknowledged it in time.
    """
    clock = runtime.clock
    lifetime = _ASSUMED_LIFETIME
    if code.expires_at is not None:
        lifetime = (code.expires_at - clock.wall()).total_seconds()
    deadline = clock.now() + lifetime
    post = SignedPost(inbox, client_id=issuer, key=key, runtime=runtime)
    await post.open()
    try:
        await _deliver(code, post, deadline, runtime)
    finally:
        await post.close()


async def _deliver(
    code: AuthorizationCode, post: SignedPost, deadline: float, runtime: Runtime
) -> None:
    clock, attempt, pause = runtime.clock, 0, _BACKOFF
    reason, status = "no time was left", None
    while (left := deadline - clock.now()) >= 1:
        attempt += 1
        form = {
            "code": code.reveal(),
            "scope": str(code.scope or ""),
            "expires_in": str(int(left)),
        }
        try:
            response = await post.send(form, clock.now() + min(left, _ATTEMPT_TIMEOUT))
        except UsageError:
            raise
        except PersonaError as error:
            if not _worth_repeating(error):
                raise _undelivered(error.what, None, attempt) from None
            reason, status, wished = error.what, None, None
        else:
            if response.status in _ACKNOWLEDGED:
                return
            status, wished = response.status, retry_after(response)
            reason = read_problem(response, code.scope or _NOTHING).text
            if response.status not in _REPEATED:
                message = f"the inbox refused the code ({reason})"
                raise _undelivered(message, status, attempt)
        finally:
            del form
        wait = max(wished or 0.0, pause * (0.5 + runtime.random() / 2))
        await clock.sleep(min(wait, max(0.0, deadline - clock.now())))
        pause = min(pause * 2, _LONGEST_BACKOFF)
    message = f"the code expired before the inbox took it ({reason})"
    raise _undelivered(message, status, attempt)


def _worth_repeating(error: PersonaError) -> bool:
    # A deadline of ours ended the attempt, which is no reason to give up.
    return error.retryable or isinstance(error, TimeoutError)


def _undelivered(what: str, status: int | None, attempts: int) -> CodeDeliveryError:
    text = f"{what}, after {attempts} attempts" if attempts > 1 else what
    return CodeDeliveryError(text, status=status)
