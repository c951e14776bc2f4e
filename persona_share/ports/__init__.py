"""Protocols: what the layers need of each other."""

from persona_share._policy.shared_limit import Share
from persona_share.ports.calls import (
    Authorization,
    ClientContext,
    Clock,
    CodeSource,
    CredentialSource,
    FileAccess,
    HasClientContext,
    Hook,
    NewFile,
    Runtime,
    Sender,
)
from persona_share.ports.store import SharedWindow, Store, Versioned


__all__ = [
    "Authorization",
    "ClientContext",
    "Clock",
    "CodeSource",
    "CredentialSource",
    "FileAccess",
    "HasClientContext",
    "Hook",
    "NewFile",
    "Runtime",
    "Sender",
    "Share",
    "SharedWindow",
    "Store",
    "Versioned",
]
