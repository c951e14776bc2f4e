"""Inquiry templates, account types and transaction types: the schemas of fields."""

from typing import Unpack

from persona_share._protocol.routes import (
    AccountTypeRoutes,
    InquiryTemplateRoutes,
    TransactionTypeRoutes,
)
from persona_share.model.template import AccountType, InquiryTemplate, TransactionType
from persona_share.resources.collection import Listing, Retrievable
from persona_share.resources.query_options import FieldsPageOptions


class InquiryTemplates(
    Retrievable[InquiryTemplate], kind=InquiryTemplate, routes=InquiryTemplateRoutes
):
    """The endpoints of ``/inquiry-templates``."""

    __slots__ = ()

    def list(self, **options: Unpack[FieldsPageOptions]) -> Listing[InquiryTemplate]:
        """List inquiry templates, newest first."""
        return self._list(InquiryTemplateRoutes.LIST, options=options)


class AccountTypes(
    Retrievable[AccountType], kind=AccountType, routes=AccountTypeRoutes
):
    """The endpoint ``/account-types``."""

    __slots__ = ()


class TransactionTypes(
    Retrievable[TransactionType], kind=TransactionType, routes=TransactionTypeRoutes
):
    """The endpoint ``/transaction-types``."""

    __slots__ = ()
