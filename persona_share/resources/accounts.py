"""Accounts: people and businesses of one organization."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from persona_share._protocol.routes import AccountRoutes
from persona_share.model.account import Account
from persona_share.model.ids import checked_id
from persona_share.model.resource import Resource
from persona_share.resources.collection import (
    Listing,
    ObjectContainer,
    Redactable,
    Relatable,
    Retrievable,
    Searchable,
    Taggable,
    checked_ids,
)
from persona_share.resources.params import (
    AccountAttributes,
    AccountChanges,
    AccountMeta,
    Body,
    ChangedAccount,
    NewAccount,
    meta_body,
)
from persona_share.resources.query_options import (
    CallOptions,
    ListOptions,
    RetrieveOptions,
)


class Accounts(
    Retrievable[Account],
    Taggable[Account],
    Relatable[Account],
    ObjectContainer[Account],
    Searchable[Account],
    Redactable[Account],
    kind=Account,
    routes=AccountRoutes,
):
    """The endpoints of ``/accounts``."""

    __slots__ = ()

    def list(
        self, *, reference_id: str | None = None, **options: Unpack[ListOptions]
    ) -> Listing[Account]:
        """List accounts, newest first."""
        filters = {"reference_id": reference_id}
        return self._list(AccountRoutes.LIST, filters=filters, options=options)

    async def create(self, **values: Unpack[NewAccount]) -> Account:
        """Create an account; ``fields`` are its field values here."""
        return await self._send(
            AccountRoutes.CREATE,
            values=values,
            attributes=AccountAttributes,
            meta=AccountMeta,
        )

    async def update(
        self, account_id: str, **values: Unpack[ChangedAccount]
    ) -> Account:
        """Update an account; ``fields`` are its field values here."""
        return await self._send(
            AccountRoutes.UPDATE, account_id, values=values, attributes=AccountChanges
        )

    async def consolidate(
        self,
        account_id: str,
        source_account_ids: Sequence[str],
        **options: Unpack[RetrieveOptions],
    ) -> Account:
        """Merge other accounts into this one, permanently and in the background."""
        ids = checked_ids(source_account_ids, "source_account_ids")
        body = meta_body(source_account_ids=ids)
        return await self._one(
            AccountRoutes.CONSOLIDATE, account_id, body=body, options=options
        )

    async def run_action(
        self,
        account_id: str,
        account_action_id: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Account:
        """Run an action of the account's type; the result has `workflow_run_id`."""
        action = checked_id(account_action_id, "account_action_id")
        data: dict[str, Any] = {"account-action-id": action}
        if parameters is not None:
            data["parameters"] = parameters
        body = Body.of_json({"data": data})
        return await self._one(
            AccountRoutes.RUN_ACTION, account_id, body=body, options=options
        )

    def relations(
        self,
        account_id: str,
        *,
        key: str,
        created_at_start: datetime | None = None,
        created_at_end: datetime | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Listing[Resource]:
        """List the accounts and transactions that are related by this schema key."""
        filters = {
            "key": key,
            "created_at_start": created_at_start,
            "created_at_end": created_at_end,
        }
        return self._list_of(
            Resource,
            AccountRoutes.RELATIONS,
            account_id,
            filters=filters,
            options=options,
        )
