"""``/api-keys``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("api_key", "api_keys")

LIST: Final = _FAMILY.read("/api-keys")
CREATE: Final = _FAMILY.create("/api-keys", "api_keys.list(name=…)")
RETRIEVE: Final = _FAMILY.read("/api-keys/{api-key-id}")
UPDATE: Final = _FAMILY.update("/api-keys/{api-key-id}")
EXPIRE: Final = _FAMILY.act("/api-keys/{api-key-id}/expire")
CLONE: Final = _FAMILY.act("/api-keys/{api-key-id}/clone", reconcile="api_keys.list(…)")
