"""persona_share: two Persona organizations share identity data, asynchronously.

Public names are imported on first use (PEP 562), so importing the package is cheap.
Internal modules must not import from the package root.
"""

from typing import TYPE_CHECKING

from persona_share._lazy import lazy_names


if TYPE_CHECKING:
    from persona_share import errors, partner, sandbox, stores, testing, webhooks
    from persona_share._tokens.source import ClientCredentials
    from persona_share.client import PersonaClient
    from persona_share.errors import PersonaError
    from persona_share.manager import ScopedTokenManager
    from persona_share.model.batch import Failed, Fetched
    from persona_share.model.policy import (
        RateLimitPolicy,
        RenewalPolicy,
        RetryPolicy,
        Timeouts,
    )
    from persona_share.model.scope import Scope
    from persona_share.model.secret import Secret
    from persona_share.model.token import AccessToken, AuthorizationCode
    from persona_share.session import ScopedSession

    __version__: str

__all__ = [
    "AccessToken",
    "AuthorizationCode",
    "ClientCredentials",
    "Failed",
    "Fetched",
    "PersonaClient",
    "PersonaError",
    "RateLimitPolicy",
    "RenewalPolicy",
    "RetryPolicy",
    "Scope",
    "ScopedSession",
    "ScopedTokenManager",
    "Secret",
    "Timeouts",
    "errors",
    "partner",
    "sandbox",
    "stores",
    "testing",
    "webhooks",
]

if not TYPE_CHECKING:  # a type checker would accept any name of the package
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "._tokens.source": "ClientCredentials",
            ".client": "PersonaClient",
            ".errors": "PersonaError",
            ".manager": "ScopedTokenManager",
            ".model.batch": "Failed Fetched",
            ".model.policy": "RateLimitPolicy RenewalPolicy RetryPolicy Timeouts",
            ".model.scope": "Scope",
            ".model.secret": "Secret",
            ".model.token": "AccessToken AuthorizationCode",
            ".session": "ScopedSession",
        },
        submodules=("errors", "partner", "sandbox", "stores", "testing", "webhooks"),
        distribution="persona-share",
    )
