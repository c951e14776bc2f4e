"""What a test puts into a sandbox: the ``add_*`` methods of `Sandbox`."""

from collections.abc import Callable
from typing import Any

from persona_share.sandbox.accounts import add_account
from persona_share.sandbox.cases import add_case
from persona_share.sandbox.documents import add_document
from persona_share.sandbox.events import add_event
from persona_share.sandbox.inquiries import add_inquiry
from persona_share.sandbox.organizations import Environment, Organization
from persona_share.sandbox.peopling import add_person
from persona_share.sandbox.records import Added
from persona_share.sandbox.reports import add_report
from persona_share.sandbox.sessions import add_device, add_inquiry_session
from persona_share.sandbox.state import State
from persona_share.sandbox.transactions import add_transaction
from persona_share.sandbox.verifications import add_verification


Adder = Callable[[State, Environment, dict[str, Any]], Added]


class Filling:
    """Objects by keyword: what is named replaces what the dice say.

    Every method belongs to the source unless ``organization=`` says otherwise, and
    raises ValueError where an id is taken or names nothing.
    """

    _state: State
    source: Organization

    def add_inquiry(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add an inquiry, completed unless ``status=`` says otherwise."""
        return self._add(add_inquiry, organization, attributes)

    def add_verification(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add a verification; ``kind="selfie"`` and ``inquiry=id`` are understood."""
        return self._add(add_verification, organization, attributes)

    def add_account(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add an account."""
        return self._add(add_account, organization, attributes)

    def add_transaction(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add a transaction; ``objects=[id, …]`` relates it to others."""
        return self._add(add_transaction, organization, attributes)

    def add_report(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add a ready report; ``kind="watchlist"`` and ``inquiry=id`` are understood.

        So are ``account=id`` and ``transaction=id``.
        """
        return self._add(add_report, organization, attributes)

    def add_document(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add a processed document with its file; ``kind="government-id"`` has photos.

        ``inquiry=id`` puts it into an inquiry, ``content=bytes`` are its file.
        """
        return self._add(add_document, organization, attributes)

    def add_case(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add an open case; ``objects=[id, …]`` puts others into it."""
        return self._add(add_case, organization, attributes)

    def add_inquiry_session(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add a session, with a device, to the inquiry of ``inquiry=id``."""
        return self._add(add_inquiry_session, organization, attributes)

    def add_device(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add a device to the inquiry session of ``session=id``."""
        return self._add(add_device, organization, attributes)

    def add_event(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> Added:
        """Add an event, which webhooks are told of; ``object=id`` is what it is about.

        ``name=`` is ``inquiry.completed`` unless given.
        """
        return self._add(add_event, organization, attributes)

    def populate(self, inquiries: int = 10) -> list[str]:
        """Add inquiries with an account and two verifications each; answer their ids."""
        owner = self.source.environment
        return [add_person(self._state, owner) for _ in range(inquiries)]

    def _add(
        self, add: Adder, organization: Organization | None, attributes: dict[str, Any]
    ) -> Added:
        owner = (organization or self.source).environment
        return add(self._state, owner, attributes)
