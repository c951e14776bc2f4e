"""What a test does for the partner of a sandbox: accept, be told, rotate secrets."""

from collections.abc import Sequence

from persona_share.errors import ConfigurationError, NotOpenError
from persona_share.sandbox.deliver import Deliverer
from persona_share.sandbox.hosts import is_loopback_url
from persona_share.sandbox.inflection import checked_inflection
from persona_share.sandbox.organizations import Organization
from persona_share.sandbox.partners import accept
from persona_share.sandbox.state import State
from persona_share.sandbox.versions import NEWEST
from persona_share.sandbox.webhooks import Webhook


class Partnership:
    """Connections and webhooks, which no operation of the API settles."""

    _state: State
    _anywhere: bool
    _deliverer: Deliverer | None
    source: Organization

    def accept_connection(self, connection_id: str) -> None:
        """Let the destination accept a pending connection.

        Raises:
            ValueError: where there is none of this id that is pending.
        """
        self._state.agenda.run(self._state.world.now())
        accept(self._state, connection_id)

    def add_webhook(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        organization: Organization | None = None,
        inflection: str = "kebab",
        version: str = NEWEST,
    ) -> Webhook:
        """Tell a URL of these events, or of all; answer id, secret and attempts.

        Raises:
            ConfigurationError: for a URL beyond this machine.
        """
        if not self._anywhere and not is_loopback_url(url):
            message = "a webhook of the sandbox stays on this machine"
            raise ConfigurationError(message)
        owner = (organization or self.source).environment
        checked_inflection(inflection)
        return self._state.webhooks.add(url, owner, events, inflection, version)

    def rotate_webhook_secret(self, webhook_id: str, *, overlap: float = 86_400) -> str:
        """Answer a new secret; for ``overlap`` seconds the older one signs along."""
        return self._state.webhooks.rotate(webhook_id, overlap)

    def disable_webhook(self, webhook_id: str) -> None:
        """Stop a webhook, and drop what it was still to be told."""
        self._state.webhooks.disable(webhook_id)

    def resend_event(self, event_id: str) -> None:
        """Tell webhooks of an event once more, as its manual retry does.

        Raises:
            ValueError: where there is no such event.
        """
        event = self._state.records.get(event_id)
        if event is None or event.type != "event":
            message = "there is no event of this id"
            raise ValueError(message)
        self._state.webhooks.announce(event)

    async def deliver_webhooks(self) -> int:
        """Make every delivery that is due; answer how many attempts that took.

        Raises:
            NotOpenError: outside of ``async with``.
        """
        if self._deliverer is None:
            message = "the sandbox delivers nothing outside of async with"
            raise NotOpenError(message)
        return await self._deliverer.deliver()
