"""Accounts: people and businesses, as one organization knows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from persona_share._protocol.routes import accounts as routes
from persona_share.model.account import Account
from persona_share.model.ids import checked_id
from persona_share.model.resource import Resource
from persona_share.resources.bodies import Body, meta_body
from persona_share.resources.collection import Redacted, Related, Searched, Tagged
from persona_share.resources.listing import Ask, Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.params import (
    AccountAttributes,
    AccountChanges,
    AccountMeta,
    ChangedAccount,
    NewAccount,
)
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    RetrieveOptions,
    filtering,
    shaping,
)


class Accounts(
    Tagged[Account],
    Related[Account],
    Searched[Account],
    Redacted[Account],
    kind=Account,
):
    """``/accounts``."""

    _redact = routes.REDACT
    _search = routes.SEARCH
    _add_relation = routes.ADD_RELATION
    _remove_relation = routes.REMOVE_RELATION
    _add_tag = routes.ADD_TAG
    _remove_tag = routes.REMOVE_TAG
    _set_tags = routes.SET_TAGS

    __slots__ = ()

    async def retrieve(
        self,
        account_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Account:
        """Answer one account.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /accounts/{account-id}.
        """
        shape = shaping(include, fields)
        return await self._one(
            routes.RETRIEVE, account_id, query=shape, options=options
        )

    def list(
        self,
        *,
        reference_id: str | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Account]:
        """List accounts, newest first.

        Source: GET /accounts.
        """
        query = filtering(filter, reference_id=reference_id)
        return self._list(
            routes.LIST,
            query=query,
            fields=fields,
            page_size=page_size,
            after=after,
            before=before,
            options=options,
        )

    async def create(self, **values: Unpack[NewAccount]) -> Account:
        """Make an account; ``fields`` are its field values here.

        Source: POST /accounts.
        """
        return await self._send(
            routes.CREATE, values=values, attributes=AccountAttributes, meta=AccountMeta
        )

    async def update(
        self, account_id: str, **values: Unpack[ChangedAccount]
    ) -> Account:
        """Change an account; ``fields`` are its field values here.

        Source: PATCH /accounts/{account-id}.
        """
        return await self._send(
            routes.UPDATE, account_id, values=values, attributes=AccountChanges
        )

    async def consolidate(
        self,
        account_id: str,
        source_account_ids: Sequence[str],
        **options: Unpack[RetrieveOptions],
    ) -> Account:
        """Merge other accounts into this one, for ever; it is done in the background."""
        ids = [checked_id(each, "source_account_ids") for each in source_account_ids]
        body = meta_body(source_account_ids=ids)
        return await self._one(
            routes.CONSOLIDATE, account_id, body=body, options=options
        )

    async def run_action(
        self,
        account_id: str,
        account_action_id: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Account:
        """Run an action of the account's type; `workflow_run_id` comes along."""
        data: dict[str, Any] = {"account-action-id": checked_id(account_action_id)}
        if parameters is not None:
            data["parameters"] = parameters
        body = Body.of_json({"data": data})
        return await self._one(
            routes.RUN_ACTION, account_id, body=body, options=options
        )

    def relations(
        self,
        account_id: str,
        *,
        key: str,
        created_at_start: datetime | None = None,
        created_at_end: datetime | None = None,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Resource]:
        """List the accounts and transactions that are related by this schema key."""
        query = filtering(
            None,
            key=key,
            created_at_start=created_at_start,
            created_at_end=created_at_end,
        )
        ask = Ask(
            route=routes.RELATIONS,
            object_ids=(account_id,),
            query={**shaping(include, fields), **query},
            options=options,
        )
        return self._listing(Resource, ask)
