"""All errors, in one tree.

Each error says what happened (its text), whether anything was sent (``phase``), and
what to do next (``advice``). No error contains a header, a body, a full URL, a
credential or personal data. All errors can be pickled. The tree::

    PersonaError
    ├── UsageError                      this library refused the call
    │   ├── ConfigurationError          a setting cannot be used
    │   │   ├── InsecureOriginError     a credential would be sent unprotected
    │   │   └── MissingExtraError       a package is missing (a ModuleNotFoundError, too)
    │   ├── InvalidArgumentError        an argument cannot be sent
    │   │   ├── InvalidIdError          an id cannot be sent, or is of another kind
    │   │   └── InvalidScopeError       a scope cannot be parsed
    │   ├── ScopeNotCoveredError        the session's scope does not cover the call
    │   ├── NotOpenError                used outside ``async with``
    │   ├── ClientClosedError           the client is closed
    │   ├── ManagerClosedError          the token manager is closed
    │   ├── WrongEventLoopError         used from another loop, thread or process
    │   └── ReentrantCodeSourceError    a code source asked for the scope it supplies
    ├── TransportError                  no usable response arrived
    │   ├── ConnectError                no connection; nothing was sent
    │   │   ├── PoolTimeoutError        all connections were busy
    │   │   ├── ProxyError              the proxy refused
    │   │   └── TLSVerificationError    the certificate cannot be verified
    │   ├── ConnectionLostError         the connection was lost
    │   ├── ProtocolError               the bytes are not HTTP
    │   ├── DeadlineExceededError       the time limit was reached (a TimeoutError, too)
    │   └── OutcomeUnknownError         a change may have taken effect
    ├── ApiError                        the service responded with an error
    │   ├── BadRequestError             400
    │   │   └── IdempotencyMismatchError  one key for two different requests
    │   ├── AuthenticationError         401
    │   ├── PermissionDeniedError       403
    │   ├── NotFoundError               404
    │   ├── ConflictError               409
    │   ├── UnprocessableError          422
    │   ├── RateLimitedError            429, too many requests
    │   ├── QuotaExceededError          403 or 429, a product quota is used up
    │   ├── ServerError                 5xx
    │   ├── UnexpectedRedirectError     3xx, never followed
    │   ├── UnexpectedContentTypeError  neither JSON nor the requested type
    │   ├── ResponseTooLargeError       the body is over its limit
    │   └── MalformedResponseError      the body has an unexpected form
    ├── StoreError                      a store operation failed
    │   ├── StoreUnavailableError       it cannot be reached, is busy or is full
    │   │   ├── CheckpointInUseError    another fetch or copy uses it
    │   │   └── StoreCorruptError       a record in it cannot be read
    │   └── StoreRefusedError           it is not safe to use
    │       └── CheckpointMismatchError an output that the checkpoint does not describe
    ├── SharingError                    a share token was not redeemed
    │   ├── RedemptionFailedError       the redemption failed
    │   ├── RedemptionPendingError      not decided in time (a TimeoutError, too)
    │   └── ShareTokenExpiredError      the share token expired
    ├── SignatureError                  a delivery of a webhook was refused
    ├── DeliveryInProgressError         another request handles the event
    ├── OutageError                     a batch stopped: nothing worked for too long
    └── TokenError                      there is no usable token for a scope
        ├── AuthorizationCodeRequiredError  there is no code
        │   └── CodeExpiredError        every available code has expired
        ├── CodeSourceError             the code source raised or timed out
        ├── CodeDeliveryError           the partner's inbox did not accept a code
        ├── CodeRefusedError            the partner refuses to issue a code
        ├── CodeRejectedError           the service refused the code
        │   └── CodeAlreadyUsedError    the code was used before
        ├── ExchangeAuthenticationError the service refused the API key (401)
        │   └── AssertionRefusedError   or the assertion of client credentials
        ├── ExchangeForbiddenError      OAuth is not enabled, or a quota (403)
        ├── ExchangeRateLimitedError    too many requests (429)
        ├── ExchangeUnavailableError    no usable response; the code may be used
        ├── ExchangeProtocolError       the response is invalid
        │   └── UnsupportedTokenTypeError  the token is not a bearer token
        ├── ScopeNotGrantedError        the token covers less than requested
        ├── TokenRejectedError          the service keeps refusing new tokens
        └── TooManyWaitersError         too many callers wait for one scope
"""

import copyreg
import enum
from collections.abc import Sequence
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, dataclass_transform

import attrs


if TYPE_CHECKING:
    from persona_share.model.scope import Scope


class Phase(enum.Enum):
    """How far an attempt got, which decides whether it may be repeated."""

    NOT_SENT = "not sent"
    AMBIGUOUS = "sent, no usable response"
    ANSWERED = "answered"


_SENT: Final = {
    Phase.NOT_SENT: "Nothing was sent.",
    Phase.AMBIGUOUS: "The request was sent, but no usable response arrived.",
    Phase.ANSWERED: "",  # the text names the response
}


@attrs.frozen
class Attempt:
    """One attempt of a call: how it ended, and the delay after it in seconds."""

    phase: Phase
    reason: str
    status: int | None = None
    request_id: str | None = None
    delay: float = 0.0


def _field(*, kw_only: bool) -> Any:  # noqa: ARG001  # type checkers read it
    """Declare an attribute whose argument is positional."""
    return ""


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(_field,))
class _Facts(Exception):  # noqa: N818  # the base of errors
    """An exception whose annotated attributes are arguments of its constructor.

    They are keyword-only. An attribute without a default is required, and None means the
    default. A class with its own ``__init__`` sets its attributes itself.
    """

    __signature__: ClassVar[Signature]
    _optional: ClassVar[frozenset[str]] = frozenset()
    _required: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Collect the annotated attributes of a class of errors."""
        super().__init_subclass__()
        if "__init__" not in vars(cls):
            own = frozenset(cls.__annotations__) - {"what"}
            required = {name for name in own if not hasattr(cls, name)}
            cls._required |= required
            cls._optional |= own - required
        cls.__signature__ = cls._signature()

    @classmethod
    def _signature(cls) -> Signature:
        """Return the signature that `help` and editors show."""
        if "__init__" in vars(cls):
            _self, *parameters = signature(cls.__init__).parameters.values()
            return Signature(parameters)
        return Signature(
            [
                Parameter("what", Parameter.POSITIONAL_ONLY),
                *[Parameter(x, Parameter.KEYWORD_ONLY) for x in sorted(cls._required)],
                *[
                    Parameter(x, Parameter.KEYWORD_ONLY, default=getattr(cls, x))
                    for x in sorted(cls._optional)
                ],
            ]
        )

    def __init__(self, what: str, /, **facts: Any) -> None:
        super().__init__(what)
        if unknown := set(facts) - self._required - self._optional:
            message = f"{type(self).__name__} takes no argument {min(unknown)!r}"
            raise TypeError(message)
        if missing := self._required - set(facts):
            message = f"{type(self).__name__} needs the argument {min(missing)!r}"
            raise TypeError(message)
        given = {name: fact for name, fact in facts.items() if fact is not None}
        self.__dict__ |= {"what": what, **given}


class PersonaError(_Facts):
    """The base class of everything that this library raises.

    ``what`` is what happened, ``phase`` says whether anything was sent, ``advice`` what
    to do next, and ``retryable`` whether the same call may succeed later.
    """

    what: str = _field(kw_only=False)
    operation: str | None = None
    phase: Phase = Phase.NOT_SENT
    attempts: tuple[Attempt, ...] = ()
    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None
    advice: str = ""
    retryable: bool = False

    _retry = "retry"

    def __str__(self) -> str:
        """Say what happened, whether anything was sent, and what to do next."""
        where = f"{self.operation}: " if self.operation else ""
        facts = []
        if len(self.attempts) > 1:
            facts.append(f"{len(self.attempts)} attempts")
        if self.request_id:
            facts.append(f"request {self.request_id}")
        if self.retry_after is not None:
            seconds = -(
                -self.retry_after // 1
            )  # rounded up, so that it is not too soon
            facts.append(f"{self._retry} in {seconds:.0f} s")
        more = f" ({', '.join(facts)})" if facts else ""
        what = self.what.rstrip(".")
        sentences = [f"{where}{what}{more}.", self._sent(), self.advice]
        return " ".join(filter(None, sentences))

    def _sent(self) -> str:
        """Return a sentence that says whether anything was sent."""
        return _SENT[self.phase]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts, as constructors have keyword-only arguments."""
        # `args` is part of the state, because an OSError such as TimeoutError drops it.
        facts = {**self.__dict__, "args": self.args}
        return copyreg.__newobj__, (type(self), *self.args), facts  # type: ignore[attr-defined]

    def fresh(self) -> Self:
        """Return an equal error, so that two callers do not share a traceback."""
        copy = type(self).__new__(type(self), *self.args)
        copy.__dict__.update(self.__dict__)
        copy.args = self.args
        copy.__cause__ = self.__cause__
        return copy


# ── Usage: refused before anything is sent ───────────────────────────────────


# At most this many missing permissions are named.
_MAX_NAMED: Final = 5


class UsageError(PersonaError):
    """A call that this library refused, so nothing was sent."""


class ConfigurationError(UsageError):
    """A setting that cannot be used."""

    def _sent(self) -> str:
        return ""  # settings are checked before anything could be sent


class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """A part of this library needs a package that is not installed."""

    @classmethod
    def of(cls, error: ImportError, needed_by: str, extra: str) -> Self:
        """Return the error of an import that failed; ``extra`` has the package."""
        package = (error.name or "a package").partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError)
        problem = "is not installed" if missing else "cannot be imported"
        return cls(
            f"{needed_by} needs {package}, which {problem}",
            advice=f"Run: pip install 'persona-share[{extra}]'",
        )


class InsecureOriginError(ConfigurationError):
    """A credential would be sent without protection."""

    advice = (
        "Use https. For a sandbox on this machine pass insecure_local=True, or set"
        " PERSONA_INSECURE_LOCAL=1 for from_env()."
    )

    def _sent(self) -> str:
        return _SENT[self.phase]


class InvalidArgumentError(UsageError):
    """An argument that cannot be sent."""

    advice = "Correct the argument and call again."


class InvalidIdError(InvalidArgumentError):
    """An id that cannot be sent, or the id of another kind of object."""

    advice = "Pass the id alone: letters, digits, '_' and '-', such as 'inq_AbC123'."


class InvalidScopeError(InvalidArgumentError):
    """A scope that cannot be parsed; ``index`` and ``position`` locate the mistake."""

    advice = "Write 'permission:object_id' pairs separated by spaces."

    index: int | None = None
    position: int | None = None


class ScopeNotCoveredError(UsageError):
    """The scope of the session does not cover a call; ``missing`` is what it lacks."""

    advice = "Use a session whose scope has this permission and object."

    missing: str

    @classmethod
    def of(
        cls,
        missing: Sequence[str],
        *,
        operation: str | None = None,
        advice: str | None = None,
    ) -> Self:
        """Return the error of a call that lacks these permissions or objects."""
        shown = ", ".join(missing[:_MAX_NAMED])
        more = (
            f" and {len(missing) - _MAX_NAMED} more"
            if len(missing) > _MAX_NAMED
            else ""
        )
        message = f"the scope of this session does not cover {shown}{more}"
        return cls(
            message,
            missing=" ".join(missing),
            operation=operation,
            advice=advice or cls.advice,
        )


class NotOpenError(UsageError):
    """A client, a manager or a code source was used before ``async with`` was entered."""

    advice = "Enter it first: 'async with … as …:'."


class ClientClosedError(UsageError):
    """The client was closed."""

    advice = "Keep the client open while calls are made, or create a new one."


class ManagerClosedError(UsageError):
    """The token manager was closed."""

    advice = "Keep the manager open while its sessions are used."


class WrongEventLoopError(UsageError):
    """A client or a manager was used from another event loop, thread or process."""

    advice = (
        "Create one client and one manager per event loop; share tokens with a store."
    )


class ReentrantCodeSourceError(UsageError):
    """A code source asked the manager for the scope that it supplies."""

    advice = "Get the code from the partner, not from the manager."


# ── Transport: no usable response arrived ────────────────────────────────────


class TransportError(PersonaError):
    """No usable response arrived; ``phase`` says whether anything was sent."""

    retryable = True
    phase = Phase.AMBIGUOUS


class ConnectError(TransportError):
    """No connection could be established, so nothing was sent."""

    advice = "Check base_url and the network, then call again."
    phase = Phase.NOT_SENT


class PoolTimeoutError(ConnectError):
    """All connections of the pool were busy for too long."""

    advice = "Lower the concurrency, or give the client a larger pool."


class ProxyError(ConnectError):
    """The proxy refused the connection."""

    advice = "Check the URL and the credentials of the proxy."


class TLSVerificationError(ConnectError):
    """The certificate of the server cannot be verified."""

    advice = "Find out which server responded; pass ssl_context= to trust your own certificate authority."
    retryable = False


class ConnectionLostError(TransportError):
    """The connection was lost after bytes were sent."""

    advice = "Read the state of the object before you repeat a call that changes it."


class ProtocolError(TransportError):
    """The bytes that arrived are not a complete HTTP response."""

    advice = "Check proxies and gateways on the way to the service."


class DeadlineExceededError(TransportError, TimeoutError):
    """The time limit of the call was reached."""

    advice = (
        "Raise timeout=, and read the state of the object before you repeat a change."
    )


class OutcomeUnknownError(TransportError):
    """A change was sent and may have taken effect; ``reconcile`` says how to find out."""

    retryable = False

    def __init__(
        self,
        what: str,
        /,
        *,
        idempotency_key: str | None = None,
        reconcile: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(what, **facts)
        self.idempotency_key = idempotency_key
        self.reconcile = reconcile
        if reconcile and "advice" not in facts:
            self.advice: str = f"Find out with {reconcile} before you repeat it."


# ── API: the service responded, but not with a usable success ────────────────


class ApiError(PersonaError):
    """The service responded with an error, or with a body that cannot be used.

    ``title``, ``details`` and ``pointer`` are the service's own words, limited to 500
    characters, escaped, and without the credentials of the request.
    """

    phase = Phase.ANSWERED

    title: str | None = None
    details: str | None = None
    pointer: str | None = None
    organization_id: str | None = None
    environment_id: str | None = None


class BadRequestError(ApiError):
    """400: the service cannot process the request."""

    advice = "Correct the parameter that .details names."


class IdempotencyMismatchError(BadRequestError):
    """One idempotency key was used for two different requests."""

    advice = "Use each key for one request only, or leave it out for a new one."


class AuthenticationError(ApiError):
    """401: the service refused the credential."""

    advice = (
        "Check that the API key is correct, is active, and belongs to this environment."
    )


class PermissionDeniedError(ApiError):
    """403: the credential has no permission for this."""

    advice = "Check the permissions and the IP allowlist of the API key, or the session's scope."


class NotFoundError(ApiError):
    """404: the credential sees no such object."""

    advice = "Check the id, the environment of the API key, and base_url."


class ConflictError(ApiError):
    """409: the state of the object does not allow this."""

    advice = "Read the state of the object; the change may already be made."


class UnprocessableError(ApiError):
    """422: the request was understood, and refused."""

    advice = "Correct the field that .details or .pointer names."


class RateLimitedError(ApiError):
    """429: too many requests in this window; ``retry_after`` is in seconds."""

    advice = "Wait for retry_after seconds, or send fewer requests."
    retryable = True


class QuotaExceededError(ApiError):
    """The quota of a product is used up (403 or 429); this is not the rate limit."""

    advice = "Wait until the quota resets, or ask Persona for a higher one."


class ServerError(ApiError):
    """5xx: the service failed."""

    advice = "Try again later; read the state of the object before you repeat a change."
    retryable = True


class UnexpectedRedirectError(ApiError):
    """3xx: redirects are never followed, as the credential would follow them."""

    advice = "Check base_url; the service itself never redirects."


class UnexpectedContentTypeError(ApiError):
    """The body is neither JSON nor of the requested type."""

    advice = "Check base_url: something other than the service may have responded."


class ResponseTooLargeError(ApiError):
    """The body is larger than the limit."""

    advice = "Ask for less: use fields=, a smaller page_size, or max_bytes=."


class MalformedResponseError(ApiError):
    """The body has an unexpected form."""

    advice = "Check base_url: something other than the service may have responded."


# ── Tokens: there is no usable token for a scope ─────────────────────────────


class TokenError(PersonaError):
    """There is no usable token; ``scope`` is the scope as text."""

    scope: str | None = None
    title: str | None = None


class AuthorizationCodeRequiredError(TokenError):
    """There is no authorization code for this scope."""

    advice = "Give the manager codes=…, or pass a code for this scope to exchange() or offer()."
    retryable = True


class CodeExpiredError(AuthorizationCodeRequiredError):
    """Every available code has expired, or would expire before its exchange."""

    advice = "Ask the source organization for a new code."


class CodeSourceError(TokenError):
    """The code source raised or timed out; ``reason`` is the type of its error."""

    advice = "Check the code source; it is called again after a delay."
    retryable = True

    reason: str


class CodeDeliveryError(TokenError):
    """The partner's inbox did not accept a code; ``status`` is its HTTP status."""

    advice = "Check the inbox and the keys on both sides, then push a new code."
    phase = Phase.AMBIGUOUS


class CodeRefusedError(TokenError):
    """The partner refuses to issue a code; ``refused`` is the part it names, or None.

    A code source raises it as ``CodeRefusedError(reason, refused=scope)``.
    """

    advice = "Agree with the source organization on what it shares, then call again."
    phase = Phase.ANSWERED

    _retry = "the partner can be asked again"

    def __init__(
        self,
        what: str = "the partner refuses",
        /,
        *,
        refused: "Scope | None" = None,
        **facts: Any,
    ) -> None:
        super().__init__(what, **facts)
        self.refused = refused

    def _sent(self) -> str:
        # It was the partner that responded.
        return super()._sent() or "No code was exchanged."


class CodeRejectedError(TokenError):
    """The service refused the code: unknown, expired, used, or issued to another organization."""

    advice = "Ask the source organization for a new code that is issued to this organization."
    phase = Phase.ANSWERED


class CodeAlreadyUsedError(CodeRejectedError):
    """The code was used before; a code works once."""

    advice = "Ask the source organization for a new code."
    phase = Phase.NOT_SENT


class ExchangeAuthenticationError(TokenError):
    """401 for an exchange: the API key was refused; the code is not used."""

    advice = (
        "Check that the API key is correct, is active, and belongs to this environment."
    )
    phase = Phase.ANSWERED


class AssertionRefusedError(ExchangeAuthenticationError):
    """401 for client credentials: the assertion or the API key was refused."""

    advice = (
        "Check the client id, its public key at Persona, and the clock of this machine."
    )


class ExchangeForbiddenError(TokenError):
    """403 for an exchange: OAuth is not enabled, or a quota is used up."""

    advice = "OAuth is a restricted API: ask Persona's account team to enable it."
    phase = Phase.ANSWERED


class ExchangeRateLimitedError(TokenError):
    """429 for an exchange, and the caller cannot wait for the reset."""

    advice = "Wait for retry_after seconds."
    retryable = True
    phase = Phase.ANSWERED


class ExchangeUnavailableError(TokenError):
    """The exchange got no usable response in time; the code may have been used."""

    advice = "Call again: the exchange is repeated safely, or a new code is used."
    retryable = True
    phase = Phase.AMBIGUOUS


class ExchangeProtocolError(TokenError):
    """The response to the exchange is invalid, so no token was taken from it."""

    advice = "Check base_url: something other than the service may have responded."
    phase = Phase.ANSWERED


class UnsupportedTokenTypeError(ExchangeProtocolError):
    """The token is not a bearer token and must not be used (RFC 6749 §7.1)."""


class ScopeNotGrantedError(TokenError):
    """The token covers less than requested; ``missing`` is what it lacks."""

    advice = "Ask the source organization to authorize the missing permissions."
    phase = Phase.ANSWERED

    missing: str


class TokenRejectedError(TokenError):
    """The service keeps refusing new tokens of this scope, so no more codes are spent."""

    advice = "Ask the source organization whether it still shares these objects."
    retryable = True
    phase = Phase.ANSWERED


class TooManyWaitersError(TokenError):
    """Too many callers wait for one scope already."""

    advice = "Limit how many calls run at once."
    retryable = True


# ── Stores and batches ───────────────────────────────────────────────────────


class StoreError(PersonaError):
    """A store operation failed."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, does not respond in time, or is full."""

    advice = "Check the store; cached tokens can still be used."
    retryable = True


class StoreCorruptError(StoreUnavailableError):
    """One record cannot be read: it is damaged, sealed with another key, or too new.

    It is not treated as absent, and never overwritten.
    """

    advice = "Find out what wrote to it; delete the record to start over."
    retryable = False


class StoreRefusedError(StoreError):
    """The store is unsafe, belongs to another program, or refuses the credentials."""

    advice = "Use a file and a directory that only this user may read and write."


class OutageError(PersonaError):
    """A batch stopped because nothing worked for longer than ``max_outage``.

    ``waiting_for`` is "service" or "partner"; ``seconds`` is how long it was down.
    """

    advice = "Run it again when the outage is over; with a checkpoint it continues."
    retryable = True

    waiting_for: str
    seconds: float


class CheckpointInUseError(StoreUnavailableError):
    """Another fetch or copy uses the checkpoint; ``pid`` is its process, if known."""

    advice = "Wait until it ends, or use another checkpoint. Nothing was changed."

    pid: int | None = None


class CheckpointMismatchError(StoreRefusedError):
    """The output is not the file that the checkpoint describes."""

    advice = (
        "Restore the output, or remove both the output and the checkpoint to start "
        "over. Nothing was changed."
    )


# ── Sharing and webhooks ─────────────────────────────────────────────────────


class SharingError(PersonaError):
    """A share token was not redeemed; ``share_token_id`` says which one."""

    phase = Phase.ANSWERED

    share_token_id: str | None = None


class RedemptionFailedError(SharingError):
    """The redemption failed; ``reason`` is the reason that the service gives, or None."""

    advice = "Ask the source organization for a new share token."

    reason: str | None = None


class RedemptionPendingError(SharingError, TimeoutError):
    """The redemption was not decided in time; ``last_status`` is the last status seen."""

    advice = "Call wait() again; the redemption continues in the background."
    retryable = True

    last_status: str | None = None


class ShareTokenExpiredError(SharingError):
    """The share token expired before it was redeemed."""

    advice = "Ask the source organization for a new share token."


class SignatureError(PersonaError):
    """A delivery was refused; ``reason`` says why, without quoting the delivery."""

    phase = Phase.ANSWERED
    advice = (
        "Respond with 400 and ignore the delivery; check the secrets of the webhook."
    )

    reason: str


class DeliveryInProgressError(PersonaError):
    """A webhook's event is being handled by another request or process."""

    retryable = True
    phase = Phase.ANSWERED
    advice = "Respond 503 with Retry-After; the service delivers the event again."
