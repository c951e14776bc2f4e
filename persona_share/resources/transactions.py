"""Transactions; a scope calls them ``txn``."""

from collections.abc import Mapping
from typing import Unpack

from persona_share._protocol.routes import TransactionRoutes
from persona_share.model.transaction import Transaction
from persona_share.resources.collection import (
    Listing,
    ObjectContainer,
    Redactable,
    Relatable,
    Retrievable,
    Taggable,
)
from persona_share.resources.params import (
    ChangedTransaction,
    NewTransaction,
    TransactionAttributes,
    TransactionChanges,
    meta_body,
)
from persona_share.resources.query_options import ListOptions, RetrieveOptions


class Transactions(
    Retrievable[Transaction],
    Taggable[Transaction],
    Relatable[Transaction],
    ObjectContainer[Transaction],
    Redactable[Transaction],
    kind=Transaction,
    routes=TransactionRoutes,
):
    """The endpoints of ``/transactions``."""

    __slots__ = ()

    def list(
        self,
        *,
        reference_id: str | None = None,
        transaction_type_id: str | None = None,
        identifier: Mapping[str, str] | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Transaction]:
        """List transactions, newest first; ``identifier`` is ``{"key", "value"}``."""
        filters = {
            "reference_id": reference_id,
            "transaction_type_id": transaction_type_id,
            "identifier": identifier,
        }
        return self._list(TransactionRoutes.LIST, filters=filters, options=options)

    async def create(self, **values: Unpack[NewTransaction]) -> Transaction:
        """Create a transaction; ``fields`` are its field values here."""
        return await self._send(
            TransactionRoutes.CREATE, values=values, attributes=TransactionAttributes
        )

    async def update(
        self, transaction_id: str, **values: Unpack[ChangedTransaction]
    ) -> Transaction:
        """Update a transaction; ``fields`` are its field values here."""
        return await self._send(
            TransactionRoutes.UPDATE,
            transaction_id,
            values=values,
            attributes=TransactionChanges,
        )

    async def label(
        self,
        transaction_id: str,
        label: str,
        *,
        score: float | None = None,
        model_version: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Transaction:
        """Label a transaction, for example as fraud."""
        body = meta_body(label=label, score=score, model_version=model_version)
        return await self._one(
            TransactionRoutes.LABEL, transaction_id, body=body, options=options
        )

    async def redact_biometrics(
        self, transaction_id: str, **options: Unpack[RetrieveOptions]
    ) -> Transaction:
        """Delete the biometric data of a transaction, permanently."""
        return await self._one(
            TransactionRoutes.REDACT_BIOMETRICS, transaction_id, options=options
        )
