"""Everything that can go wrong, in one tree.

Each error is a set of facts: what happened (the text), whether anything was sent
(``phase``), and what to do next (``advice``). No error holds a header, a body, a full
URL, a credential or personal data, and every one survives pickling. The tree::

    PersonaError
    ├── UsageError                      our own refusal, before any byte leaves
    │   ├── ConfigurationError          a setting that cannot be used
    │   │   └── InsecureOriginError     a credential would travel unprotected
    │   ├── InvalidArgumentError        an argument that cannot be sent
    │   │   ├── InvalidIdError          an id with characters that ids never have
    │   │   └── InvalidScopeError       a scope that cannot be read
    │   ├── ScopeNotCoveredError        the session's scope does not allow this call
    │   ├── NotOpenError                used outside ``async with``
    │   ├── ClientClosedError           the client was closed
    │   ├── ManagerClosedError          the token manager was closed
    │   ├── WrongEventLoopError         used from another loop, thread or process
    │   └── ReentrantCodeSourceError    a code source asked for the scope it serves
    ├── TransportError                  no usable answer came
    │   ├── ConnectError                no connection (nothing was sent)
    │   │   ├── PoolTimeoutError        every connection stayed busy
    │   │   ├── ProxyError              the proxy refused
    │   │   └── TLSVerificationError    the server's certificate was refused
    │   ├── ConnectionLostError         the connection broke on the way
    │   ├── ProtocolError               bytes came that are not HTTP
    │   ├── DeadlineExceededError       the caller's time was up (a TimeoutError, too)
    │   └── OutcomeUnknownError         sent, and nobody knows whether it took effect
    ├── ApiError                        an answer that we did not want
    │   ├── BadRequestError             400
    │   │   └── IdempotencyMismatchError  one key, two different requests
    │   ├── AuthenticationError         401
    │   ├── PermissionDeniedError       403
    │   ├── NotFoundError               404
    │   ├── ConflictError               409
    │   ├── UnprocessableError          422
    │   ├── RateLimitedError            429, too many requests in this window
    │   ├── QuotaExceededError          403 or 429, a product quota is used up
    │   ├── ServerError                 5xx
    │   ├── UnexpectedRedirectError     3xx, never followed
    │   ├── UnexpectedContentTypeError  neither JSON nor what was asked for
    │   ├── ResponseTooLargeError       a body over its cap
    │   └── MalformedResponseError      a body that does not say what it must
    ├── StoreError                      a store could not do what was asked
    │   ├── StoreUnavailableError       it cannot be reached, is busy or is full
    │   │   ├── CheckpointInUseError    another fetch or copy uses it
    │   │   └── StoreCorruptError       a record in it cannot be read
    │   └── StoreRefusedError           it is not safe to use
    │       └── CheckpointMismatchError an output that the checkpoint does not describe
    ├── SharingError                    a share token did not become what it should
    │   ├── RedemptionFailedError       it failed; the reason is the service's
    │   ├── RedemptionPendingError      not decided in time (a TimeoutError, too)
    │   └── ShareTokenExpiredError      nobody redeemed it in time
    ├── SignatureError                  a webhook that cannot be trusted
    ├── OutageError                     a batch stopped: nothing worked for too long
    └── TokenError                      there is no token for this scope
        ├── AuthorizationCodeRequiredError  nobody supplied a code
        │   └── CodeExpiredError        every code at hand ended unused
        ├── CodeSourceError             the code source raised or took too long
        ├── CodeDeliveryError           the partner's inbox did not accept a code
        ├── CodeRefusedError            the partner refuses to issue a code
        ├── CodeRejectedError           the service refused the code
        │   └── CodeAlreadyUsedError    the code was spent before
        ├── ExchangeAuthenticationError the service refused the API key (401)
        │   └── AssertionRefusedError   or a machine's assertion
        ├── ExchangeForbiddenError      OAuth not enabled, or a quota (403)
        ├── ExchangeRateLimitedError    too many requests (429)
        ├── ExchangeUnavailableError    no usable answer; the code is in doubt
        ├── ExchangeProtocolError       an answer that cannot be trusted
        │   └── UnsupportedTokenTypeError  a token that is not a bearer token
        └── ScopeNotGrantedError        the token covers less than was asked
"""

from persona_share.errors.api import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    IdempotencyMismatchError,
    MalformedResponseError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    ResponseTooLargeError,
    ServerError,
    UnexpectedContentTypeError,
    UnexpectedRedirectError,
    UnprocessableError,
)
from persona_share.errors.base import (
    Attempt,
    PersonaError,
    Phase,
)
from persona_share.errors.batch import (
    CheckpointInUseError,
    CheckpointMismatchError,
    OutageError,
)
from persona_share.errors.sharing import (
    RedemptionFailedError,
    RedemptionPendingError,
    ShareTokenExpiredError,
    SharingError,
    SignatureError,
)
from persona_share.errors.stores import (
    StoreCorruptError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.errors.tokens import (
    AssertionRefusedError,
    AuthorizationCodeRequiredError,
    CodeAlreadyUsedError,
    CodeDeliveryError,
    CodeExpiredError,
    CodeRefusedError,
    CodeRejectedError,
    CodeSourceError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeProtocolError,
    ExchangeRateLimitedError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
    TokenError,
    UnsupportedTokenTypeError,
)
from persona_share.errors.transport import (
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    OutcomeUnknownError,
    PoolTimeoutError,
    ProtocolError,
    ProxyError,
    TLSVerificationError,
    TransportError,
)
from persona_share.errors.usage import (
    ClientClosedError,
    ConfigurationError,
    InsecureOriginError,
    InvalidArgumentError,
    InvalidIdError,
    InvalidScopeError,
    ManagerClosedError,
    NotOpenError,
    ReentrantCodeSourceError,
    ScopeNotCoveredError,
    UsageError,
    WrongEventLoopError,
)


__all__ = [
    "ApiError",
    "AssertionRefusedError",
    "Attempt",
    "AuthenticationError",
    "AuthorizationCodeRequiredError",
    "BadRequestError",
    "CheckpointInUseError",
    "CheckpointMismatchError",
    "ClientClosedError",
    "CodeAlreadyUsedError",
    "CodeDeliveryError",
    "CodeExpiredError",
    "CodeRefusedError",
    "CodeRejectedError",
    "CodeSourceError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "ConnectionLostError",
    "DeadlineExceededError",
    "ExchangeAuthenticationError",
    "ExchangeForbiddenError",
    "ExchangeProtocolError",
    "ExchangeRateLimitedError",
    "ExchangeUnavailableError",
    "IdempotencyMismatchError",
    "InsecureOriginError",
    "InvalidArgumentError",
    "InvalidIdError",
    "InvalidScopeError",
    "MalformedResponseError",
    "ManagerClosedError",
    "NotFoundError",
    "NotOpenError",
    "OutageError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "PersonaError",
    "Phase",
    "PoolTimeoutError",
    "ProtocolError",
    "ProxyError",
    "QuotaExceededError",
    "RateLimitedError",
    "RedemptionFailedError",
    "RedemptionPendingError",
    "ReentrantCodeSourceError",
    "ResponseTooLargeError",
    "ScopeNotCoveredError",
    "ScopeNotGrantedError",
    "ServerError",
    "ShareTokenExpiredError",
    "SharingError",
    "SignatureError",
    "StoreCorruptError",
    "StoreError",
    "StoreRefusedError",
    "StoreUnavailableError",
    "TLSVerificationError",
    "TokenError",
    "TransportError",
    "UnexpectedContentTypeError",
    "UnexpectedRedirectError",
    "UnprocessableError",
    "UnsupportedTokenTypeError",
    "UsageError",
    "WrongEventLoopError",
]

# They are shown, and pickled, under the one name that users know.
for _name in __all__:
    globals()[_name].__module__ = __name__
