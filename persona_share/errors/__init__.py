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
    ├── StoreError                      a store could not do what was asked
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
    DeliveryInProgressError,
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
    TokenRejectedError,
    TooManyWaitersError,
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
    MissingExtraError,
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
    "DeliveryInProgressError",
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
    "MissingExtraError",
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
    "TokenRejectedError",
    "TooManyWaitersError",
    "TransportError",
    "UnexpectedContentTypeError",
    "UnexpectedRedirectError",
    "UnprocessableError",
    "UnsupportedTokenTypeError",
    "UsageError",
    "WrongEventLoopError",
]

# Errors are shown and pickled under their public name.
for _name in __all__:
    globals()[_name].__module__ = __name__
