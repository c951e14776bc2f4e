"""Codes between organizations: how one gets from the source to the destination.

The source organization runs a `CodeIssuer`, which decides by `Agreement`, `Consents` and
limits, writes an `AuditLog`, and answers partners over HTTP. The destination asks it with
a `PartnerCodeSource`, or receives pushed codes in a `CodeInbox`. Both sides authenticate
with signed assertions (RFC 7523); ``openapi()`` returns the protocol for everybody else.
Needs the extra ``m2m``.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from persona_share.partner.agreements import Agreement, load_agreements
    from persona_share.partner.audit import AuditLog, Decision, read_audit
    from persona_share.partner.client import PartnerCodeSource
    from persona_share.partner.consents import Consent, Consents
    from persona_share.partner.endpoint import openapi
    from persona_share.partner.inbox import CodeInbox
    from persona_share.partner.issuer import CodeIssuer
    from persona_share.partner.keys import SigningKey

__all__ = [
    "Agreement",
    "AuditLog",
    "CodeInbox",
    "CodeIssuer",
    "Consent",
    "Consents",
    "Decision",
    "PartnerCodeSource",
    "SigningKey",
    "load_agreements",
    "openapi",
    "read_audit",
]

_MODULES = {
    "Agreement": "agreements",
    "AuditLog": "audit",
    "CodeInbox": "inbox",
    "CodeIssuer": "issuer",
    "Consent": "consents",
    "Consents": "consents",
    "Decision": "audit",
    "PartnerCodeSource": "client",
    "SigningKey": "keys",
    "load_agreements": "agreements",
    "openapi": "endpoint",
    "read_audit": "audit",
}


if not TYPE_CHECKING:  # a type checker would otherwise accept any name

    def __getattr__(name: str) -> object:
        """Import a name when it is first used."""
        if name not in _MODULES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the names that can be imported."""
    return sorted({*globals(), *__all__})
