"""G13: eight secrets are searched on twenty outputs, with and without failures."""

import json
import os

import pytest
from joserfc import jwk

from persona_share import ClientCredentials, PersonaClient, Scope, ScopedTokenManager
from persona_share._protocol.oauth import exchange_key
from persona_share.errors import PersonaError, SignatureError
from persona_share.stores import Encrypted, SQLiteStore
from persona_share.webhooks import Verifier, sign
from tests.guarantees.outputs import Outputs


PERSON = "CANARY-person"
WEBHOOK = "CANARY-webhook-secret"
PEM = jwk.ECKey.generate_key("P-256").as_pem(private=True).decode()
READ = "GET /inquiries/{inquiry-id}"
OWN = "GET /verifications/{verification-id}"
EXCHANGE = "POST /oauth/token"


def with_fault(faults, fault, carried):
    """Apply a fault; some responses echo the secrets of the request."""
    for operation, secrets in carried.items():
        echo = {"errors": [{"title": " ".join(secrets), "details": repr(secrets)}]}
        options = {"echo": {"body": echo}, "page": {"body": repr(echo).encode()}}
        if isinstance(fault, int):
            faults.answer(operation, fault, times=None)
        elif fault == "echo":
            faults.answer(operation, 422, times=None, **options[fault])
        elif fault == "page":
            faults.answer(operation, 200, times=None, **options[fault])
        elif fault == "mixed":
            other = {"data": {"type": "inquiry", "id": "inq_2", "attributes": echo}}
            faults.answer(operation, 200, times=None, body=other)
        else:
            getattr(faults, fault)(operation, times=None)


FAULTS = ["cut", "lose_answer", "truncate", "echo", "page", "mixed"]
FAULTS += [302, 400, 401, 403, 404, 408, 409, 422, 429, 500, 503]


class Recorder:
    """All objects with a secret, the secrets, and the outputs."""

    def __init__(self, scenario, tmp_path):
        self.scenario = scenario
        self.outputs = Outputs()
        self.canaries = {"api key": scenario.sandbox.destination.api_key}
        self.canaries |= {"webhook secret": WEBHOOK, "person": PERSON}
        self.folder = tmp_path / "store"
        sandbox = scenario.sandbox
        self.inquiry = sandbox.add_inquiry(fields={"name-first": PERSON})
        self.selfie = sandbox.add_verification(kind="selfie")
        self.scope = Scope.read(self.inquiry.id, self.selfie.id)
        self.client = PersonaClient(
            sandbox.destination.api_key,
            base_url=sandbox.url,
            insecure_local=True,
            hooks=[lambda event: self.outputs.add("hooks", repr(event))],
            _runtime=scenario.destination.context.runtime,
        )

    def manager(self, **options):
        store = Encrypted(SQLiteStore(self.folder / "tokens.db"), keys=[b"\x01" * 32])
        hook = lambda event: self.outputs.add("hooks", repr(event))  # noqa: E731
        return ScopedTokenManager(self.client, store=store, hooks=[hook], **options)

    async def new_code(self):
        code = await self.scenario.ask_partner(self.scope)
        origin = self.client.context.origin
        key = exchange_key(origin, code, 0).reveal()
        self.canaries |= {"code": code.reveal(), "idempotency key": key}
        return code

    async def succeed(self):
        """Do the main job, and show everything that takes part in it."""
        outputs, code = self.outputs, await self.new_code()
        async with self.manager() as manager:
            await self.scenario.advance_until_done(manager.exchange(code))
            session, token = manager.session(self.scope), manager.peek(self.scope)
            self.canaries["token"] = token.reveal()
            inquiry = await session.inquiries.retrieve(self.inquiry.id)
            selfie = await session.verifications.retrieve(self.selfie.id)
            file = selfie.photo_urls[0]
            self.canaries["file URL"] = file.url.reveal()
            assert PERSON in repr(inquiry.raw)  # it did come
            await session.files.download(file)
            shown = [self.client, manager, session, token, code, inquiry, selfie, file]
            shown += [self.scope, self.client.context, self.client.inquiries]
            shown += [manager.tokens(), *self.signed(), self.credentials()]
            outputs.print_values(*shown)
            outputs.serialize(self.client, manager, session, token, code, file)
            outputs.serialize(self.client.context, self.signed()[0], self.credentials())
            self.read_environment()

    def credentials(self):
        machine = ClientCredentials("client-1", PEM, algorithm="ES256")
        runtime = self.client.context.runtime
        assertion = machine.assertion("https://api.withpersona.com", runtime)
        self.canaries["assertion"] = assertion.reveal()
        self.outputs.print_values(assertion)
        self.outputs.serialize(assertion)
        return machine

    def signed(self):
        """Verify one good delivery and one forgery."""
        verifier = Verifier(WEBHOOK, clock=self.scenario.clock)
        at = self.scenario.clock.wall()
        event = {"type": "event", "id": "evt_1"}
        payload = {"data": {"type": "inquiry", "id": "inq_1"}}
        event["attributes"] = {"name": "inquiry.completed", "payload": payload}
        payload["data"]["attributes"] = {"name-first": PERSON}
        body = json.dumps({"data": event}).encode()
        signature = sign(body, WEBHOOK, at=at)
        with pytest.raises(SignatureError) as caught:
            verifier.verify(b"{}", signature)
        self.outputs.add_error(caught.value)
        return verifier, verifier.verify(body, signature)

    def read_environment(self):
        """Look at what lies outside: the disk, the environment, the sandbox's log."""
        for path in self.folder.iterdir():
            self.outputs.add("database", path.read_bytes())
        self.outputs.add("environment", os.environ)
        log = self.scenario.sandbox.log
        self.outputs.add("sandbox log", *map(repr, log.find()), repr(vars(log)))

    def carried(self):
        """Return which secrets are sent with which operation."""
        sent = {READ: ("token",), OWN: ("api key",)}
        sent[EXCHANGE] = ("api key", "code", "idempotency key")
        return {
            operation: [self.canaries[name] for name in names]
            for operation, names in sent.items()
        }

    async def fail(self, fault):
        """Do the main job during a fault, and search its outputs."""
        code = await self.new_code()
        faults = self.scenario.sandbox.faults
        with_fault(faults, fault, self.carried())
        manager = await self.manager().__aenter__()
        shared = manager.session(self.scope).inquiries
        work = [manager.exchange(code), shared.retrieve(self.inquiry.id)]
        work += [self.client.verifications.retrieve(self.selfie.id)]
        for each in work:
            try:
                await self.scenario.advance_until_done(each, step=5)
            except PersonaError as error:
                self.outputs.add_error(error)
        self.read_environment()
        faults.clear()
        await self.scenario.advance_until_done(manager.aclose(), step=5)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_eight_secrets_appear_in_none_of_twenty_outputs(
    scenario, tmp_path, caplog, capfd
):
    recorder = Recorder(scenario, tmp_path)
    outputs = recorder.outputs
    async with recorder.client:
        with outputs.capture(caplog, capfd):
            await recorder.succeed()
            for fault in FAULTS:
                await recorder.fail(fault)
    assert len(outputs.texts["exception"]) >= 3 * 2 * len(FAULTS)
    assert len(recorder.canaries) == 8
    assert len(outputs.texts) >= 20
    silent = {name for name, texts in outputs.texts.items() if not any(texts)}
    assert silent <= {"streams", "warnings"}
    assert outputs.found(recorder.canaries) == []
