"""The endpoints: one line each, one module per kind of object.

Persona does not document which permission an endpoint needs. The names follow the
permission families of API keys (``inquiry.read``, ``txn.write``, …).
"""

from persona_share._protocol.routes.oauth import AUTHORIZE, TOKEN
from persona_share._protocol.routes.route import Route


__all__ = ["AUTHORIZE", "TOKEN", "Route"]
