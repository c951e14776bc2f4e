"""Inquiry templates, account types and transaction types: the schemas of fields."""

from typing import Unpack

from persona_share._protocol.routes import templates as routes
from persona_share.model.template import AccountType, InquiryTemplate, TransactionType
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Listing
from persona_share.resources.query_options import Fields, PageOptions, RetrieveOptions


class _ListOptions(PageOptions, total=False):
    fields: Fields | None


class InquiryTemplates(Collection[InquiryTemplate], kind=InquiryTemplate):
    """The endpoints of ``/inquiry-templates``."""

    __slots__ = ()

    async def retrieve(
        self, inquiry_template_id: str, **options: Unpack[RetrieveOptions]
    ) -> InquiryTemplate:
        """Return one inquiry template, with the schemas of its fields."""
        return await self._one(
            routes.RETRIEVE_INQUIRY_TEMPLATE, inquiry_template_id, options=options
        )

    def list(self, **options: Unpack[_ListOptions]) -> Listing[InquiryTemplate]:
        """List inquiry templates, newest first."""
        return self._list(routes.LIST_INQUIRY_TEMPLATES, options=options)


class AccountTypes(Collection[AccountType], kind=AccountType):
    """The endpoint ``/account-types``."""

    __slots__ = ()

    async def retrieve(
        self, account_type_id: str, **options: Unpack[RetrieveOptions]
    ) -> AccountType:
        """Return one account type, with the schemas of its fields."""
        return await self._one(
            routes.RETRIEVE_ACCOUNT_TYPE, account_type_id, options=options
        )


class TransactionTypes(Collection[TransactionType], kind=TransactionType):
    """The endpoint ``/transaction-types``."""

    __slots__ = ()

    async def retrieve(
        self, transaction_type_id: str, **options: Unpack[RetrieveOptions]
    ) -> TransactionType:
        """Return one transaction type, with the schemas of its fields."""
        return await self._one(
            routes.RETRIEVE_TRANSACTION_TYPE, transaction_type_id, options=options
        )
