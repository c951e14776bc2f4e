"""Inquiry templates, account types and transaction types: the schemas of objects."""

from typing import Final

from persona_share._protocol.routes.route import Family


_INQUIRY: Final = Family(None, "inquiry_templates")
_ACCOUNT: Final = Family("account_type", "account_types")
_TRANSACTION: Final = Family(None, "transaction_types")

LIST_INQUIRY_TEMPLATES: Final = _INQUIRY.read("/inquiry-templates")
RETRIEVE_INQUIRY_TEMPLATE: Final = _INQUIRY.read(
    "/inquiry-templates/{inquiry-template-id}"
)
RETRIEVE_ACCOUNT_TYPE: Final = _ACCOUNT.read("/account-types/{account-type-id}")
RETRIEVE_TRANSACTION_TYPE: Final = _TRANSACTION.read(
    "/transaction-types/{transaction-type-id}"
)
