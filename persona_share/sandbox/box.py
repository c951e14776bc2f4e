"""`Sandbox`: a local Persona with two organizations, over a real socket."""

from collections.abc import Callable, Sequence
from typing import Self

from persona_share.errors import ConfigurationError, NotOpenError
from persona_share.sandbox.deliver import Deliverer
from persona_share.sandbox.faults import Faults
from persona_share.sandbox.file_host import HOST, FileHost
from persona_share.sandbox.filling import Filling
from persona_share.sandbox.founding import found_organization, new_key
from persona_share.sandbox.hosts import check_listening, is_loopback, origin
from persona_share.sandbox.log import Log
from persona_share.sandbox.machine_grant import check_public_key
from persona_share.sandbox.organizations import Kind, Organization
from persona_share.sandbox.partnership import Partnership
from persona_share.sandbox.pipeline import Pipeline
from persona_share.sandbox.routes import TABLE, Routes
from persona_share.sandbox.server import Server
from persona_share.sandbox.state import PREFIX, OAuthClient, new_state
from persona_share.sandbox.switches import Switches
from persona_share.sandbox.world import World


class Sandbox(Filling, Partnership):
    """A local Persona: ``async with Sandbox() as box``, then talk to ``box.url``.

    Lifetimes and ``latency`` are in seconds; the API announces lifetimes one second
    short. ``rate_limit`` is requests a minute and environment, None for no limit.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token_lifetime: float = 3600,
        code_lifetime: float = 600,
        rate_limit: int | None = 300,
        seed: int = 0,
        latency: float = 0.0,
        host: str = "127.0.0.1",
        listen_anywhere: bool = False,
        _clock: Callable[[], float] | None = None,
    ) -> None:
        """Set up both organizations; nothing listens before ``async with``.

        Raises:
            ConfigurationError: for an address beyond this machine, or a lifetime that
                is not positive.
        """
        check_listening(host, anywhere=listen_anywhere)
        if token_lifetime <= 0 or code_lifetime <= 0:
            message = "a lifetime must be more than 0 seconds"
            raise ConfigurationError(message)
        self._state = state = new_state(
            World(seed, _clock),
            operations=TABLE,
            token_lifetime=token_lifetime,
            code_lifetime=code_lifetime,
            rate_limit=rate_limit,
            latency=latency,
        )
        self.switches: Switches = state.switches
        self.faults: Faults = state.faults
        self.log: Log = state.log
        self.source: Organization = found_organization(self._state, "source")
        self.destination: Organization = found_organization(self._state, "destination")
        self._host, self._port, self._anywhere = host, port, listen_anywhere
        self._server: Server | None = None
        self._file_host: FileHost | None = None
        self._deliverer: Deliverer | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ConfigurationError: where the port is taken or the address cannot be had.
        """
        server = Server(self._state, Pipeline(self._state), Routes(TABLE))
        bound = await server.start(self._host, self._port, anywhere=self._anywhere)
        self._server = server
        self._state.url = origin(*bound) + PREFIX
        try:
            await self._open_more()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _open_more(self) -> None:
        self._file_host = FileHost(self._state)
        here = HOST if is_loopback(self._host) else self._host
        bound = await self._file_host.start(here, anywhere=self._anywhere)
        self._state.files.origin = origin(*bound)
        self._deliverer = Deliverer(self._state)
        await self._deliverer.start()

    async def __aexit__(self, *_: object) -> None:
        """Close the sockets and every connection."""
        for part in (self._deliverer, self._server, self._file_host):
            if part is not None:
                await part.stop()
        self._deliverer = None

    @property
    def files_url(self) -> str:
        """Answer where files are: another host than the API's."""
        return self._state.files.origin

    @property
    def url(self) -> str:
        """Answer the base URL, ``http://127.0.0.1:…/api/v1``."""
        if not self._state.url:
            message = "the sandbox has no address before async with"
            raise NotOpenError(message)
        return self._state.url

    @property
    def latency(self) -> float:
        """Answer the real seconds that every answer takes; it may be set."""
        return self._state.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        """Set the real seconds that every answer takes."""
        self._state.latency = seconds

    def add_organization(self) -> Organization:
        """Add a third party, with an API key of its own."""
        return found_organization(self._state, "other")

    def add_api_key(
        self,
        organization: Organization,
        *,
        environment: Kind = "sandbox",
        permissions: Sequence[str] | None = None,
        rate_limit: int | None = None,
        inflection: str = "kebab",
        version: str | None = None,
    ) -> str:
        """Add an API key to an organization and answer it."""
        key = new_key(
            self._state,
            organization.environments[environment],
            permissions=permissions,
            rate_limit=rate_limit,
            inflection=inflection,
            version=version,
        )
        return key.value

    def register_oauth_client(
        self,
        client_id: str,
        public_key_pem: str,
        permissions: Sequence[str],
        *,
        organization: Organization | None = None,
    ) -> None:
        """Let a machine of the source organization ask for tokens (RS256 or ES256).

        Raises:
            ConfigurationError: where joserfc is missing or the key cannot be read.
        """
        check_public_key(public_key_pem)
        owner = (organization or self.source).environment
        client = OAuthClient(client_id, public_key_pem, tuple(permissions), owner)
        self._state.clients[client_id] = client

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock; what falls due by then is done at once.

        Webhooks follow in the background, or with `deliver_webhooks`.
        """
        self._state.world.advance(seconds)
        self._state.agenda.run(self._state.world.now())
        self._state.webhooks.wake()

    def now(self) -> float:
        """Answer the sandbox's time in seconds since the epoch."""
        return self._state.world.now()

    def revoke(self, token_or_scope: object) -> int:
        """End a token, or each token of exactly this scope; answer how many."""
        return self._state.grants.revoke(token_or_scope)

    def expire_codes(self) -> int:
        """End every unspent code; answer how many."""
        return self._state.grants.expire_codes()

    def describe(self) -> dict[str, object]:
        """Answer what a program has to know of this sandbox, keys included."""
        ends = {"source": self.source, "destination": self.destination}
        inquiries = [r.id for r in self._state.records if r.type == "inquiry"]
        return {
            "url": self.url,
            **{k: {"id": v.id, "api_key": v.api_key} for k, v in ends.items()},
            "inquiries": inquiries,
        }
