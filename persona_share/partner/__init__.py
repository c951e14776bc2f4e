"""Sends authorization codes from the source to the destination organization.

The source organization runs a `CodeIssuer`, which checks the `Agreement`, `Consents` and
limits, writes an `AuditLog`, and responds to partners over HTTP. The destination requests
codes with a `PartnerCodeSource`, or receives pushed codes in a `CodeInbox`. Both sides
authenticate with signed assertions (RFC 7523). ``openapi()`` returns the protocol for
other implementations. Needs the extra ``m2m``.
"""

from typing import TYPE_CHECKING

from persona_share._lazy import lazy_names


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

if not TYPE_CHECKING:  # a type checker would accept any name of the package
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            ".agreements": "Agreement load_agreements",
            ".audit": "AuditLog Decision read_audit",
            ".client": "PartnerCodeSource",
            ".consents": "Consent Consents",
            ".endpoint": "openapi",
            ".inbox": "CodeInbox",
            ".issuer": "CodeIssuer",
            ".keys": "SigningKey",
        },
    )
