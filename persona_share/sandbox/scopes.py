"""Reading the scope that is asked for, and wording the one that is granted."""

from typing import Final

from persona_share.model.ids import is_id
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import words
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.state import State


#: Permissions that the API's pages list; they call the list neither closed nor final.
PERMISSIONS: Final = frozenset(
    words(
        "account.read account.write account_type.read api_key.read api_key.scim "
        "api_key.write api_log.read case.read case.write case_template.read "
        "document.read document.write event.read filing.write importer.read "
        "importer.write inquiry.read inquiry.write list.read list.write report.read "
        "report.write txn.read txn.write user_audit_log.read verification.read "
        "verification.write webhook.read webhook.write workflow.trigger"
    )
)


def asked(state: State, text: str, owner: Environment) -> str:
    """Answer the scope of an authorization, checked pair by pair.

    Raises:
        Problem: for a pair that cannot be read, an unknown permission, or an object
            that the owner does not have; no value is repeated.
    """
    pairs = text.split()
    if not pairs:
        raise Problem(400, "scope is missing")
    most = state.switches.max_scope_pairs
    if most is not None and len(pairs) > most:
        raise Problem(400, f"scope has more than {most} pairs")
    return " ".join(_checked_pair(state, pair, owner) for pair in pairs)


def _checked_pair(state: State, pair: str, owner: Environment) -> str:
    permission, _, object_id = pair.partition(":")
    if state.switches.scope_case == "lowered":
        permission = permission.lower()
    if not is_id(object_id):
        raise Problem(400, "scope must be pairs of permission:object")
    if permission not in PERMISSIONS:
        status = state.switches.unknown_permission_status
        raise Problem(status, "scope names a permission that does not exist")
    word = permission.partition(".")[0]
    if state.switches.authorize_checks_objects and not state.records.named_in_scope(
        word, object_id, owner
    ):
        status = state.switches.unknown_object_status
        raise Problem(status, "scope names an object that is not found")
    return f"{permission}:{object_id}"


def granted(state: State, scope: str) -> str:
    """Answer the words of the granted scope, as the switches say."""
    switches = state.switches
    if switches.grants is not None:
        scope = switches.grants(scope)
    pairs = scope.split()
    if switches.scope_duplicates == "dropped":
        pairs = list(dict.fromkeys(pairs))
    if switches.scope_order == "canonical":
        pairs.sort()
    elif switches.scope_order == "shuffled":
        state.world.stream("scope order").shuffle(pairs)
    return " ".join(pairs)
