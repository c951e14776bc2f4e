"""The endpoints, one line each, one file per kind of object.

The API's description does not say which permission an endpoint needs; the names follow
the permission families of the key settings (``inquiry.read``, ``txn.write``, …).
"""

from persona_share._protocol.routes.oauth import AUTHORIZE, TOKEN
from persona_share._protocol.routes.route import Route


__all__ = ["AUTHORIZE", "TOKEN", "Route"]
