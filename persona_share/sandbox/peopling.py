"""A person with everything that belongs to one: account, inquiry, verifications."""

from typing import Final

from persona_share.sandbox.accounts import add_account
from persona_share.sandbox.inquiries import add_inquiry
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import person
from persona_share.sandbox.state import State
from persona_share.sandbox.verifications import add_verification


_KINDS: Final = ("government-id", "selfie")


def add_person(state: State, owner: Environment) -> str:
    """Add somebody, and answer the inquiry's id."""
    who = person(state.world.stream("people"))
    account = add_account(state, owner, {}, who)
    inquiry = add_inquiry(state, owner, {"account": account.id}, who)
    for kind in _KINDS:
        add_verification(state, owner, {"kind": kind, "inquiry": inquiry.id}, who)
    return inquiry.id
