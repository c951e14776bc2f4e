"""The sandbox: a local Persona, written as a second opinion.

It shares no line with the client: of the package it sees the words of ids and scopes
and the errors, and has a codec, a clock and dice of its own. What Persona documents, it
does; what Persona leaves open is a switch in `Switches`; what can go wrong is planned
with `Faults`.
"""

from persona_share.sandbox.box import Sandbox
from persona_share.sandbox.faults import Faults
from persona_share.sandbox.log import Entry, Log
from persona_share.sandbox.organizations import Organization
from persona_share.sandbox.records import Added
from persona_share.sandbox.serving import serve
from persona_share.sandbox.switches import Switches


__all__ = [
    "Added",
    "Entry",
    "Faults",
    "Log",
    "Organization",
    "Sandbox",
    "Switches",
    "serve",
]
