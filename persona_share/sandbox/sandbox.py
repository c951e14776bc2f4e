"""`Sandbox`: a local Persona with two organizations on a real socket."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import attrs

from persona_share.errors import ConfigurationError, NotOpenError
from persona_share.sandbox.behavior.faults import Faults
from persona_share.sandbox.behavior.switches import Limits, Switches
from persona_share.sandbox.connect.connections import accept, add_connection, archive
from persona_share.sandbox.hosts import (
    Access,
    check_listening,
    is_loopback,
    is_loopback_url,
)
from persona_share.sandbox.http.server import (
    FILE_HOST,
    ROUTER,
    ROUTES,
    FileServer,
    Server,
)
from persona_share.sandbox.inspector.control import (
    PREFIX as CONTROL,
    Control,
    plan_fault,
)
from persona_share.sandbox.inspector.snapshot import switch_value
from persona_share.sandbox.jsonapi.objects import add_event, deliver_event, field_values
from persona_share.sandbox.jsonapi.rendering import checked_inflection
from persona_share.sandbox.oauth.endpoints import check_public_key
from persona_share.sandbox.resources.accounts import (
    DEFAULT_FIELDS as ACCOUNT_FIELDS,
    add_account,
)
from persona_share.sandbox.resources.cases import add_case
from persona_share.sandbox.resources.documents import add_document
from persona_share.sandbox.resources.inquiries import (
    KINDS as INQUIRY_FIELDS,
    add_inquiry,
)
from persona_share.sandbox.resources.inquiry_sessions import (
    add_device,
    add_inquiry_session,
)
from persona_share.sandbox.resources.reports import add_report
from persona_share.sandbox.resources.templates import add_template
from persona_share.sandbox.resources.transactions import (
    DEFAULT_FIELDS as TRANSACTION_FIELDS,
    add_transaction,
)
from persona_share.sandbox.resources.verifications import add_verification
from persona_share.sandbox.resources.workflows import add_workflow
from persona_share.sandbox.runtime import Runtime
from persona_share.sandbox.state.fake_people import fake_person
from persona_share.sandbox.state.organizations import (
    LATEST_VERSION,
    Environment,
    Kind,
    Organization,
)
from persona_share.sandbox.state.records import ObjectRef
from persona_share.sandbox.state.requests import Log
from persona_share.sandbox.state.state import PREFIX, OAuthClient, State, new_state
from persona_share.sandbox.state.webhooks import Webhook
from persona_share.sandbox.webhooks.delivery import WebhookDispatcher


_Add = Callable[[State, Environment, dict[str, Any]], ObjectRef]

#: The verifications of each person that `Sandbox.populate` adds.
_VERIFICATIONS: Final = ("government-id", "selfie")


class Sandbox:
    """A local Persona: ``async with Sandbox() as sandbox``, then use ``sandbox.url``.

    Lifetimes and ``latency`` are in seconds; the API announces lifetimes that are one
    second shorter. ``rate_limit`` is requests per minute and environment, None for no limit.
    ``public_host`` is the name by which other machines and containers reach this one.
    API keys are random unless given; a given one begins with ``localbox_``.
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
        public_host: str | None = None,
        source_key: str | None = None,
        destination_key: str | None = None,
        limits: Limits | None = None,
        _clock: Callable[[], float] | None = None,
    ) -> None:
        """Create both organizations; the server starts with ``async with``.

        Raises:
            ConfigurationError: for a host that is not loopback, a lifetime that is not
                positive, or an API key without the sandbox's prefix.
        """
        check_listening(host, anywhere=listen_anywhere)
        if token_lifetime <= 0 or code_lifetime <= 0:
            message = "a lifetime must be more than 0 seconds"
            raise ConfigurationError(message)
        self._state = state = new_state(
            Runtime(seed, _clock),
            operations=ROUTES,
            token_lifetime=token_lifetime,
            code_lifetime=code_lifetime,
            rate_limit=rate_limit,
            latency=latency,
            limits=limits or Limits(),
        )
        self.switches: Switches = state.switches
        self.faults: Faults = state.faults
        self.log: Log = state.log
        self.source: Organization = state.add_organization("source", source_key)
        self.destination: Organization = state.add_organization(
            "destination", destination_key
        )
        self._host, self._port, self._anywhere = host, port, listen_anywhere
        self._access = Access(listen_anywhere, public_host)
        self._inquiries = {False: 0, True: 0}  # without and with documents
        self._connected = False
        self._server: Server | None = None
        self._file_server: FileServer | None = None
        self._dispatcher: WebhookDispatcher | None = None

    async def __aenter__(self) -> Self:
        """Start the servers.

        Raises:
            ConfigurationError: if the address or the port is not available.
        """
        control = Control(self._state, self)
        server = Server(self._state, ROUTER, control, self._access)
        bound = await server.start(self._host, self._port)
        self._server = server
        self._state.url = self._access.origin(*bound) + PREFIX
        try:
            await self._start_others()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _start_others(self) -> None:
        self._file_server = FileServer(self._state, self._access)
        host = FILE_HOST if is_loopback(self._host) else self._host
        bound = await self._file_server.start(host)
        self._state.files.origin = self._access.origin(*bound)
        self._dispatcher = WebhookDispatcher(self._state, anywhere=self._anywhere)
        await self._dispatcher.start()

    async def __aexit__(self, *_: object) -> None:
        """Stop the servers and close every connection."""
        for part in (self._dispatcher, self._server, self._file_server):
            if part is not None:
                await part.stop()
        self._dispatcher = None

    @property
    def url(self) -> str:
        """Return the base URL, ``http://127.0.0.1:…/api/v1``."""
        if not self._state.url:
            message = "the sandbox has no URL before async with"
            raise NotOpenError(message)
        return self._state.url

    @property
    def files_url(self) -> str:
        """Return the origin of the file server, another one than the API's."""
        return self._state.files.origin

    @property
    def inspector_url(self) -> str:
        """Return the URL of the inspector."""
        return f"{self.url.removesuffix(PREFIX)}{CONTROL}/"

    @property
    def latency(self) -> float:
        """Return the real seconds that every response takes; settable."""
        return self._state.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        """Set the real seconds that every response takes."""
        self._state.latency = seconds

    def describe(self) -> dict[str, object]:
        """Return the URLs, IDs and API keys of this sandbox."""
        organizations = {"source": self.source, "destination": self.destination}
        inquiries = [r.id for r in self._state.records if r.type == "inquiry"]
        connections = self._state.sharing.connections.values()
        return {
            "url": self.url,
            "files_url": self.files_url,
            "inspector_url": self.inspector_url,
            **{k: {"id": v.id, "api_key": v.api_key} for k, v in organizations.items()},
            "connections": [each.id for each in connections],
            "inquiries": inquiries,
        }

    # ── The clock ───────────────────────────────────────────────────────────────

    def now(self) -> float:
        """Return the sandbox's time in seconds since the epoch."""
        return self._state.runtime.now()

    def reset(self) -> None:
        """Restore the initial state.

        Objects, codes, tokens, connections, webhooks, the log, faults and switches are
        reset; people and the connection are created again, with new ids. API keys and
        the clock do not change.
        """
        self._state.reset()
        inquiries, self._inquiries = self._inquiries, {False: 0, True: 0}
        for documents, number in inquiries.items():
            self.populate(number, documents=documents)
        if self._connected:
            self.connect()

    def set_switches(self, **values: object) -> None:
        """Set switches by name, as attributes of `switches` can be set.

        Raises:
            ValueError: for an unknown switch, or a value that it does not take.
        """
        names = {field.name for field in attrs.fields(Switches)}
        for name in values:
            if name not in names:
                message = f"there is no switch {name!r}"
                raise ValueError(message)
        for name, value in values.items():
            setattr(self.switches, name, value)

    def set_switch(self, name: str, value: object) -> None:
        """Set one switch; text is converted, for the command line.

        Raises:
            ValueError: for an unknown switch, or a value that it does not take.
        """
        setattr(self.switches, name, switch_value(name, value))

    def plan_fault(self, operation: str, fault: str) -> None:
        """Plan a fault from text: ``503``, ``cut``, ``delay:2`` or ``503*2``.

        Raises:
            ValueError: for an unknown operation or fault.
        """
        kind, _, times = fault.partition("*")
        kind, _, seconds = kind.partition(":")
        given: dict[str, Any] = {"kind": kind, "times": int(times or 1)}
        if kind.isdigit():
            given |= {"kind": "answer", "status": int(kind)}
        if seconds:
            given["seconds"] = float(seconds)
        plan_fault(self.faults, operation=operation, **given)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock and run what is due by then.

        Webhooks follow in the background, or with `deliver_webhooks`.
        """
        self._state.runtime.advance(seconds)
        self._state.scheduler.run(self._state.runtime.now())
        self._state.webhooks.wake()

    # ── Organizations and credentials ───────────────────────────────────────────

    def add_organization(self) -> Organization:
        """Add another organization with its own API key."""
        return self._state.add_organization("other")

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
        """Add an API key to an organization and return it."""
        key = self._state.add_api_key(
            organization.environments[environment],
            permissions=permissions,
            rate_limit=rate_limit,
            inflection=checked_inflection(inflection),
            version=version,
        )
        return key.value

    def api_key_id(self, api_key: str) -> str:
        """Return the id of an API key, ``api_…``."""
        return self._state.keys[api_key].id

    def register_oauth_client(
        self,
        client_id: str,
        public_key_pem: str,
        permissions: Sequence[str],
        *,
        organization: Organization | None = None,
    ) -> None:
        """Register a client for the client-credentials grant (RS256 or ES256).

        It belongs to the source organization unless ``organization`` is given.

        Raises:
            ConfigurationError: if joserfc is missing or the key cannot be read.
        """
        check_public_key(public_key_pem)
        owner = (organization or self.source).environment
        client = OAuthClient(client_id, public_key_pem, tuple(permissions), owner)
        self._state.clients[client_id] = client

    def revoke(self, token_or_scope: object) -> int:
        """Revoke a token, or all tokens of exactly this scope; return how many."""
        return self._state.grants.revoke(token_or_scope)

    def expire_codes(self) -> int:
        """Expire every unused code; return how many."""
        return self._state.grants.expire_codes()

    # ── Objects ─────────────────────────────────────────────────────────────────
    # Keyword arguments replace generated attributes. An object belongs to the source
    # organization unless ``organization`` is given. An id that exists already, and a
    # reference to an unknown object, raise ValueError.

    def add_inquiry(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add an inquiry, completed unless ``status=`` is given."""
        return self._add(add_inquiry, organization, attributes)

    def add_verification(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a verification; accepts ``kind="selfie"`` and ``inquiry=id``."""
        return self._add(add_verification, organization, attributes)

    def add_account(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add an account."""
        return self._add(add_account, organization, attributes)

    def add_transaction(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a transaction; ``objects=[id, …]`` relates it to others."""
        return self._add(add_transaction, organization, attributes)

    def add_report(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a ready report.

        Accepts ``kind="watchlist"``, ``inquiry=id``, ``account=id`` and
        ``transaction=id``.
        """
        return self._add(add_report, organization, attributes)

    def add_document(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a processed document with its file; ``kind="government-id"`` has photos.

        ``inquiry=id`` adds it to an inquiry, ``content=bytes`` is its file.
        """
        return self._add(add_document, organization, attributes)

    def add_case(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add an open case; ``objects=[id, …]`` adds other objects to it."""
        return self._add(add_case, organization, attributes)

    def add_inquiry_session(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a session, with a device, to the inquiry of ``inquiry=id``."""
        return self._add(add_inquiry_session, organization, attributes)

    def add_device(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a device to the inquiry session of ``session=id``."""
        return self._add(add_device, organization, attributes)

    def add_workflow(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add a workflow; ``inputs={name: type}`` are its inputs."""
        return self._add(add_workflow, organization, attributes)

    def add_event(
        self, *, organization: Organization | None = None, **attributes: Any
    ) -> ObjectRef:
        """Add an event and deliver it to webhooks; ``object=id`` is its subject.

        ``name=`` is ``inquiry.completed`` unless given.
        """
        return self._add(add_event, organization, attributes)

    def add_inquiry_template(
        self,
        *,
        fields: Mapping[str, str] | None = None,
        organization: Organization | None = None,
        **attributes: Any,
    ) -> ObjectRef:
        """Add an inquiry template; ``fields`` are kinds by field name.

        Kinds are ``text``, ``date``, ``number``, ``boolean``, ``choices``,
        ``multi_choices``, ``json``, ``generic``, ``government_id`` and ``selfie``. The
        fields of the default template are declared unless ``fields`` is given.
        """
        kinds = INQUIRY_FIELDS if fields is None else fields
        return self._add_template("inquiry-template", kinds, organization, attributes)

    def add_account_type(
        self,
        *,
        fields: Mapping[str, str] | None = None,
        organization: Organization | None = None,
        **attributes: Any,
    ) -> ObjectRef:
        """Add an account type; see `add_inquiry_template` for ``fields``."""
        kinds = ACCOUNT_FIELDS if fields is None else fields
        return self._add_template("account-type", kinds, organization, attributes)

    def add_transaction_type(
        self,
        *,
        fields: Mapping[str, str] | None = None,
        organization: Organization | None = None,
        **attributes: Any,
    ) -> ObjectRef:
        """Add a transaction type; see `add_inquiry_template` for ``fields``."""
        kinds = TRANSACTION_FIELDS if fields is None else fields
        return self._add_template("transaction-type", kinds, organization, attributes)

    def add_case_template(
        self,
        *,
        fields: Mapping[str, str] | None = None,
        organization: Organization | None = None,
        **attributes: Any,
    ) -> ObjectRef:
        """Add a case template; see `add_inquiry_template` for ``fields``."""
        return self._add_template(
            "case-template", fields or {}, organization, attributes
        )

    def _add_template(
        self,
        family: str,
        fields: Mapping[str, str],
        organization: Organization | None,
        attributes: dict[str, Any],
    ) -> ObjectRef:
        owner = (organization or self.source).environment
        record = add_template(self._state, owner, family, fields, attributes)
        return ObjectRef(record.id, record.type)

    def populate(self, inquiries: int = 10, *, documents: bool = False) -> list[str]:
        """Add inquiries, each with an account and two verifications; return their ids.

        With ``documents`` each inquiry also has a document with a file, and a report.
        """
        self._inquiries[documents] += inquiries
        ids = [self.add_person() for _ in range(inquiries)]
        if documents:
            for each in ids:
                self.add_document(inquiry=each)
                self.add_report(inquiry=each)
        return ids

    def add_person(self, **fields: object) -> str:
        """Add a person: an inquiry, an account and two verifications.

        ``fields`` replace the generated fields of the inquiry; ``id`` and ``status``
        are those of the inquiry. Return the id of the inquiry.
        """
        state, owner = self._state, self.source.environment
        person = fake_person(state.runtime.stream("people"))
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        given: dict[str, Any] = {
            k: names.pop(k) for k in ("id", "status") if k in names
        }
        person = person.replaced(names)
        account = add_account(state, owner, {}, person)
        typed = field_values(state, names, INQUIRY_FIELDS)
        given |= {"account": account.id, "fields": typed}
        inquiry = add_inquiry(state, owner, given, person)
        for kind in _VERIFICATIONS:
            values = {"kind": kind, "inquiry": inquiry.id}
            add_verification(state, owner, values, person)
        return inquiry.id

    def _add(
        self, add: _Add, organization: Organization | None, attributes: dict[str, Any]
    ) -> ObjectRef:
        owner = (organization or self.source).environment
        return add(self._state, owner, attributes)

    # ── Connections and webhooks ────────────────────────────────────────────────

    def accept_connection(self, connection_id: str) -> None:
        """Accept a pending connection, as the destination does in the dashboard.

        Raises:
            ValueError: if there is no pending connection of this id.
        """
        self._state.scheduler.run(self._state.runtime.now())
        accept(self._state, connection_id)

    def connect(self) -> str:
        """Connect the source with the destination; return the id of the connection."""
        self._connected = True
        return add_connection(self._state, self.source, self.destination)

    def archive_connection(self, connection_id: str) -> None:
        """Archive a connection: from then on only its share tokens name it.

        Raises:
            ValueError: if there is no connection of this id.
        """
        archive(self._state, connection_id)

    def add_webhook(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        organization: Organization | None = None,
        inflection: str = "kebab",
        version: str = LATEST_VERSION,
    ) -> Webhook:
        """Deliver these events, or all of them, to a URL.

        Raises:
            ConfigurationError: for a URL beyond this machine.
        """
        if not self._anywhere and not is_loopback_url(url):
            message = "the sandbox delivers webhooks to this machine only"
            raise ConfigurationError(message)
        owner = (organization or self.source).environment
        checked_inflection(inflection)
        return self._state.webhooks.add(url, owner, events, inflection, version)

    def rotate_webhook_secret(self, webhook_id: str, *, overlap: float = 86_400) -> str:
        """Return a new secret; the old one also signs for ``overlap`` seconds."""
        return self._state.webhooks.rotate(webhook_id, overlap)

    def disable_webhook(self, webhook_id: str) -> None:
        """Disable a webhook and drop its pending deliveries."""
        self._state.webhooks.disable(webhook_id)

    def resend_event(self, event_id: str) -> None:
        """Deliver an event again, as the dashboard's manual retry does.

        Raises:
            ValueError: if there is no such event.
        """
        event = self._state.records.get(event_id)
        if event is None or event.type != "event":
            message = "there is no event of this id"
            raise ValueError(message)
        deliver_event(self._state, event)

    async def deliver_webhooks(self) -> int:
        """Make every delivery that is due; return the number of attempts.

        Raises:
            NotOpenError: outside of ``async with``.
        """
        if self._dispatcher is None:
            message = "the sandbox delivers webhooks within async with only"
            raise NotOpenError(message)
        return await self._dispatcher.deliver()


async def serve(
    ready: Callable[[Sandbox], None], *, inquiries: int = 10, **options: Any
) -> None:
    """Run a populated sandbox until cancelled; ``ready`` is called once it listens.

    Raises:
        ConfigurationError: for invalid options.
    """
    async with Sandbox(**options) as sandbox:
        sandbox.populate(inquiries)
        ready(sandbox)
        await asyncio.Event().wait()
