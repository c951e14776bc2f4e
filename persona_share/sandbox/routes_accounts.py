"""The operations on accounts and transactions."""

from typing import Final

from persona_share.sandbox import (
    account_acts,
    filters,
    relating,
    transactions,
)
from persona_share.sandbox.operations import Operation, Table, redaction, tags
from persona_share.sandbox.reading import lister, retriever
from persona_share.sandbox.redacting import redact_biometrics
from persona_share.sandbox.searching import (
    of_attribute,
    of_fields,
    of_relationship,
    searcher,
)
from persona_share.sandbox.writing import changer, maker


_ACCOUNT: Final = "/accounts/{account-id}"
_TRANSACTION: Final = "/transactions/{transaction-id}"
_DATES: Final = {
    "created_at": of_attribute("created-at"),
    "updated_at": of_attribute("updated-at"),
}

ACCOUNTS: Final[Table] = {
    "GET /accounts": Operation(
        "list-all-accounts", lister("account", filters.ACCOUNTS)
    ),
    "POST /accounts": Operation(
        "create-an-account",
        maker(
            "account", account_acts.create, account_acts.CREATE, event="account.created"
        ),
    ),
    "POST /accounts/search": Operation(
        "search-accounts",
        searcher(
            "account",
            {
                **_DATES,
                "type": of_relationship("account-type"),
                "status": of_attribute("account-status"),
                "fields.*": of_fields,
            },
        ),
    ),
    f"GET {_ACCOUNT}": Operation("retrieve-an-account", retriever("account")),
    f"PATCH {_ACCOUNT}": Operation(
        "update-an-account",
        changer("account", account_acts.update, account_acts.UPDATE),
    ),
    **redaction("account", _ACCOUNT, "redact-an-account"),
    f"GET {_ACCOUNT}/relations": Operation(
        "accounts-list-all-relations", relating.listed
    ),
    f"POST {_ACCOUNT}/add-relation": Operation(
        "accounts-add-relation", changer("account", relating.add, relating.RELATION)
    ),
    f"POST {_ACCOUNT}/remove-relation": Operation(
        "accounts-remove-relation",
        changer("account", relating.remove, relating.RELATION),
    ),
    f"POST {_ACCOUNT}/consolidate": Operation(
        "consolidate-into-an-account",
        changer(
            "account", account_acts.consolidate, account_acts.CONSOLIDATE, status=202
        ),
    ),
    f"POST {_ACCOUNT}/run-action": Operation(
        "runAccountAction",
        changer("account", account_acts.run_action, account_acts.RUN_ACTION),
    ),
    **tags(
        "account",
        _ACCOUNT,
        {
            "add-tag": "accounts-add-tag",
            "remove-tag": "accounts-remove-tag",
            "set-tags": "accounts-set-all-tags",
        },
    ),
}
TRANSACTIONS: Final[Table] = {
    "GET /transactions": Operation(
        "list-all-transactions", lister("transaction", filters.TRANSACTIONS)
    ),
    "POST /transactions": Operation(
        "create-a-transaction",
        maker(
            "transaction",
            transactions.create,
            transactions.CREATE,
            event="transaction.created",
        ),
    ),
    f"GET {_TRANSACTION}": Operation(
        "retrieve-a-transaction", retriever("transaction")
    ),
    f"PATCH {_TRANSACTION}": Operation(
        "update-a-transaction",
        changer("transaction", transactions.update, transactions.UPDATE),
    ),
    **redaction("transaction", _TRANSACTION, "redact-a-transaction"),
    f"POST {_TRANSACTION}/label": Operation(
        "create-a-transaction-label",
        changer("transaction", transactions.label, transactions.LABEL),
    ),
    f"POST {_TRANSACTION}/redact-biometrics": Operation(
        "redact-transaction-biometrics", changer("transaction", redact_biometrics)
    ),
    f"POST {_TRANSACTION}/add-relation": Operation(
        "transactions-add-relation",
        changer("transaction", relating.add, relating.RELATION),
    ),
    f"POST {_TRANSACTION}/remove-relation": Operation(
        "transactions-remove-relation",
        changer("transaction", relating.remove, relating.RELATION),
    ),
    **tags(
        "transaction",
        _TRANSACTION,
        {
            "add-tag": "transactions-add-tag",
            "remove-tag": "transactions-remove-tag",
            "set-tags": "transactions-set-tags",
        },
    ),
}
TABLE: Final[Table] = {**ACCOUNTS, **TRANSACTIONS}
