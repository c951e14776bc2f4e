"""persona_share: two Persona organizations share identity data, asynchronously.

Public names are imported when they are first used (PEP 562), so importing the package
costs next to nothing. Internal modules must not import from the package root.
"""

from importlib import import_module
from typing import TYPE_CHECKING


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

_MODULE_OF = {
    "AccessToken": "model.token",
    "AuthorizationCode": "model.token",
    "ClientCredentials": "_tokens.source",
    "Failed": "model.batch",
    "Fetched": "model.batch",
    "PersonaClient": "client",
    "PersonaError": "errors",
    "RateLimitPolicy": "model.policy",
    "RenewalPolicy": "model.policy",
    "RetryPolicy": "model.policy",
    "Scope": "model.scope",
    "ScopedSession": "session",
    "ScopedTokenManager": "manager",
    "Secret": "model.secret",
    "Timeouts": "model.policy",
}


if not TYPE_CHECKING:  # a checker that saw it would believe in any name at all

    def __getattr__(name: str) -> object:
        """Import a public name, once."""
        if name in _MODULE_OF:
            value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        elif name in __all__:
            value = import_module(f"{__name__}.{name}")
        elif name == "__version__":
            value = import_module("importlib.metadata").version("persona-share")
        else:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__, "__version__"})
