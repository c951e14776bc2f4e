"""``/transactions``, whose permissions are called ``txn``."""

from typing import Final

from persona_share._protocol.routes.route import Family, Route


_FAMILY: Final = Family("txn", "transactions")

LIST: Final = _FAMILY.read("/transactions")
CREATE: Final = _FAMILY.create("/transactions", "transactions.list(reference_id=…)")
RETRIEVE: Final = _FAMILY.read("/transactions/{transaction-id}")
UPDATE: Final = _FAMILY.update("/transactions/{transaction-id}")
REDACT: Final = _FAMILY.redact("/transactions/{transaction-id}")
REDACT_BIOMETRICS: Final = Route(
    "POST",
    "/transactions/{transaction-id}/redact-biometrics",
    reconcile="transactions.retrieve(id)",
)
LABEL: Final = _FAMILY.act("/transactions/{transaction-id}/label")
ADD_RELATION: Final = _FAMILY.act("/transactions/{transaction-id}/add-relation")
REMOVE_RELATION: Final = _FAMILY.act("/transactions/{transaction-id}/remove-relation")
ADD_TAG: Final = _FAMILY.act("/transactions/{transaction-id}/add-tag")
REMOVE_TAG: Final = _FAMILY.act("/transactions/{transaction-id}/remove-tag")
SET_TAGS: Final = _FAMILY.act("/transactions/{transaction-id}/set-tags")
ADD_OBJECTS: Final = _FAMILY.act("/transactions/{transaction-id}/add-objects")
REMOVE_OBJECTS: Final = _FAMILY.act("/transactions/{transaction-id}/remove-objects")
