"""Which related objects an answer can bring along."""

from collections.abc import Mapping
from typing import Final

import attrs

from persona_share.sandbox.calls import Call
from persona_share.sandbox.people import words
from persona_share.sandbox.problems import Problem


#: The relationships of each family.
RELATIONSHIPS: Final[Mapping[str, frozenset[str]]] = {
    "account": frozenset({"account-type"}),
    "case": frozenset(
        words(
            "accounts case-comments case-queue case-template inquiries reports txns "
            "verifications"
        )
    ),
    "connect": frozenset(
        words("connect-connection connection creator destination source")
    ),
    "document": frozenset(
        words(
            "document-files inquiry inquiry-template inquiry-template-version template "
            "transaction"
        )
    ),
    "inquiry": frozenset(
        words(
            "account documents inquiry-template inquiry-template-version reports "
            "reviewer selfies sessions template transaction verifications"
        )
    ),
    "inquiry-session": frozenset({"device", "inquiry", "network"}),
    "report": frozenset({"account", "inquiry", "report-template", "transaction"}),
    "transaction": frozenset(
        words("related-objects reviewer transaction-label transaction-type")
    ),
    "verification": frozenset(
        words(
            "accounts inquiry inquiry-template inquiry-template-version template "
            "transaction verification-template verification-template-version"
        )
    ),
}
_ALL: Final = frozenset().union(*RELATIONSHIPS.values())
_MOST_STEPS: Final = 2


def without_include(call: Call) -> Call:
    """Answer a call of a list, whose answers bring nothing along."""
    query = tuple(pair for pair in call.query if pair[0] != "include")
    return attrs.evolve(call, query=query, caller=call.caller)


def check_include(call: Call, family: str) -> None:
    """Refuse an ``include`` that names what there is not.

    Raises:
        Problem: 400, before anything is done.
    """
    for name, value in call.query:
        if name != "include":
            continue
        for path in filter(None, (word.strip() for word in value.split(","))):
            first, *more = path.replace("_", "-").split(".")
            if len(more) >= _MOST_STEPS:
                raise Problem(400, "include goes one level deep")
            known = RELATIONSHIPS.get(family, frozenset())
            if first not in known or not _ALL.issuperset(more):
                raise Problem(400, "include names an unknown relationship")
