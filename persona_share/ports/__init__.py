"""The sockets of the house: what the rooms ask of each other, and nothing else."""

from persona_share.ports.calls import (
    Account,
    AccountHolder,
    BearerSource,
    Checkpoint,
    Clock,
    CodeSource,
    FileAccess,
    Hook,
    Lease,
    Lender,
    NewFile,
    ReplayGuard,
    Runtime,
    Sender,
)
from persona_share.ports.stores import (
    BrowsableStore,
    Share,
    SharedWindow,
    TokenStore,
)


__all__ = [
    "Account",
    "AccountHolder",
    "BearerSource",
    "BrowsableStore",
    "Checkpoint",
    "Clock",
    "CodeSource",
    "FileAccess",
    "Hook",
    "Lease",
    "Lender",
    "NewFile",
    "ReplayGuard",
    "Runtime",
    "Sender",
    "Share",
    "SharedWindow",
    "TokenStore",
]
