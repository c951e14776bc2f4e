"""The sandbox: a local Persona, written independently of the client.

It shares no code with the client except ids, scopes and errors, so a mistake of the
client cannot hide in it. Documented behavior is fixed; undocumented behavior is a
switch in `Switches`; failures are planned with `Faults`.
"""

from persona_share.sandbox.behavior.faults import Faults
from persona_share.sandbox.behavior.switches import Limits, Switches
from persona_share.sandbox.sandbox import Sandbox, serve
from persona_share.sandbox.state.organizations import Organization
from persona_share.sandbox.state.records import ObjectRef
from persona_share.sandbox.state.requests import Entry, Log


__all__ = [
    "Entry",
    "Faults",
    "Limits",
    "Log",
    "ObjectRef",
    "Organization",
    "Sandbox",
    "Switches",
    "serve",
]
