"""Transactions; a scope calls them ``txn``."""

from collections.abc import Mapping
from typing import Unpack

from persona_share._protocol.routes import transactions as routes
from persona_share.model.transaction import Transaction
from persona_share.resources.bodies import meta_body
from persona_share.resources.collection import Redacted, Related, Tagged
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.params import (
    ChangedTransaction,
    NewTransaction,
    TransactionAttributes,
    TransactionChanges,
)
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    RetrieveOptions,
    filtering,
    shaping,
)


class Transactions(
    Tagged[Transaction], Related[Transaction], Redacted[Transaction], kind=Transaction
):
    """``/transactions``."""

    _redact = routes.REDACT
    _add_relation = routes.ADD_RELATION
    _remove_relation = routes.REMOVE_RELATION
    _add_tag = routes.ADD_TAG
    _remove_tag = routes.REMOVE_TAG
    _set_tags = routes.SET_TAGS

    __slots__ = ()

    async def retrieve(
        self,
        transaction_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Transaction:
        """Answer one transaction.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /transactions/{transaction-id}.
        """
        shape = shaping(include, fields)
        return await self._one(
            routes.RETRIEVE, transaction_id, query=shape, options=options
        )

    def list(
        self,
        *,
        reference_id: str | None = None,
        transaction_type_id: str | None = None,
        identifier: Mapping[str, str] | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Transaction]:
        """List transactions, newest first; ``identifier`` has a ``key`` and a ``value``.

        Source: GET /transactions.
        """
        query = filtering(
            filter,
            reference_id=reference_id,
            transaction_type_id=transaction_type_id,
            identifier=identifier,
        )
        return self._list(
            routes.LIST,
            query=query,
            fields=fields,
            page_size=page_size,
            after=after,
            before=before,
            options=options,
        )

    async def create(self, **values: Unpack[NewTransaction]) -> Transaction:
        """Make a transaction; ``fields`` are its field values here.

        Source: POST /transactions.
        """
        return await self._send(
            routes.CREATE, values=values, attributes=TransactionAttributes
        )

    async def update(
        self, transaction_id: str, **values: Unpack[ChangedTransaction]
    ) -> Transaction:
        """Change a transaction; ``fields`` are its field values here.

        Source: PATCH /transactions/{transaction-id}.
        """
        return await self._send(
            routes.UPDATE, transaction_id, values=values, attributes=TransactionChanges
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
        """Say what a transaction turned out to be."""
        body = meta_body(label=label, score=score, model_version=model_version)
        return await self._one(routes.LABEL, transaction_id, body=body, options=options)

    async def redact_biometrics(
        self, transaction_id: str, **options: Unpack[RetrieveOptions]
    ) -> Transaction:
        """Delete the biometric data of a transaction for ever."""
        return await self._one(
            routes.REDACT_BIOMETRICS, transaction_id, options=options
        )
