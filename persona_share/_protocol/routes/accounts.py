"""``/accounts``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("account", "accounts")

LIST: Final = _FAMILY.read("/accounts")
SEARCH: Final = _FAMILY.search("/accounts/search")
CREATE: Final = _FAMILY.create("/accounts", "accounts.list(reference_id=…)")
RETRIEVE: Final = _FAMILY.read("/accounts/{account-id}")
UPDATE: Final = _FAMILY.update("/accounts/{account-id}")
REDACT: Final = _FAMILY.redact("/accounts/{account-id}")
CONSOLIDATE: Final = _FAMILY.act("/accounts/{account-id}/consolidate")
RUN_ACTION: Final = _FAMILY.act("/accounts/{account-id}/run-action")
RELATIONS: Final = _FAMILY.read("/accounts/{account-id}/relations")
ADD_RELATION: Final = _FAMILY.act("/accounts/{account-id}/add-relation")
REMOVE_RELATION: Final = _FAMILY.act("/accounts/{account-id}/remove-relation")
ADD_TAG: Final = _FAMILY.act("/accounts/{account-id}/add-tag")
REMOVE_TAG: Final = _FAMILY.act("/accounts/{account-id}/remove-tag")
SET_TAGS: Final = _FAMILY.act("/accounts/{account-id}/set-tags")
ADD_OBJECTS: Final = _FAMILY.act("/accounts/{account-id}/add-objects")
REMOVE_OBJECTS: Final = _FAMILY.act("/accounts/{account-id}/remove-objects")
