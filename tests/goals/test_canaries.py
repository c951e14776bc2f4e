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
from tests.goals.surfaces import Surfaces


PERSON = "CANARY-person"
WEBHOOK = "CANARY-webhook-secret"
PEM = jwk.ECKey.generate_key("P-256").as_pem(private=True).decode()
READ = "GET /inquiries/{inquiry-id}"
OWN = "GET /verifications/{verification-id}"
EXCHANGE = "POST /oauth/token"


def struck(faults, fault, carried):
    """Let a fault strike; some services echo the secrets that a request carried."""
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


class Scene:
    """All objects with a secret, the secrets, and the outputs."""

    def __init__(self, journey, tmp_path):
        self.journey = journey
        self.surfaces = Surfaces()
        self.canaries = {"api key": journey.box.destination.api_key}
        self.canaries |= {"webhook secret": WEBHOOK, "person": PERSON}
        self.folder = tmp_path / "store"
        box = journey.box
        self.inquiry = box.add_inquiry(fields={"name-first": PERSON})
        self.selfie = box.add_verification(kind="selfie")
        self.scope = Scope.read(self.inquiry.id, self.selfie.id)
        self.client = PersonaClient(
            box.destination.api_key,
            base_url=box.url,
            insecure_local=True,
            hooks=[lambda event: self.surfaces.add("hooks", repr(event))],
            _runtime=journey.destination.context.runtime,
        )

    def manager(self, **options):
        store = Encrypted(SQLiteStore(self.folder / "tokens.db"), keys=[b"\x01" * 32])
        tell = lambda event: self.surfaces.add("hooks", repr(event))  # noqa: E731
        return ScopedTokenManager(self.client, store=store, hooks=[tell], **options)

    async def a_code(self):
        code = await self.journey.ask_partner(self.scope)
        origin = self.client.context.origin
        key = exchange_key(origin, code, 0).reveal()
        self.canaries |= {"code": code.reveal(), "idempotency key": key}
        return code

    async def goes_well(self):
        """Do the main job, and show everything that takes part in it."""
        surfaces, code = self.surfaces, await self.a_code()
        async with self.manager() as manager:
            await self.journey.until(manager.exchange(code))
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
            surfaces.show(*shown)
            surfaces.store(self.client, manager, session, token, code, file)
            surfaces.store(self.client.context, self.signed()[0], self.credentials())
            self.look_around()

    def credentials(self):
        machine = ClientCredentials("client-1", PEM, algorithm="ES256")
        runtime = self.client.context.runtime
        assertion = machine.assertion("https://api.withpersona.com", runtime)
        self.canaries["assertion"] = assertion.reveal()
        self.surfaces.show(assertion)
        self.surfaces.store(assertion)
        return machine

    def signed(self):
        """Verify one good delivery and one forgery."""
        verifier = Verifier(WEBHOOK, clock=self.journey.clock)
        at = self.journey.clock.wall()
        event = {"type": "event", "id": "evt_1"}
        payload = {"data": {"type": "inquiry", "id": "inq_1"}}
        event["attributes"] = {"name": "inquiry.completed", "payload": payload}
        payload["data"]["attributes"] = {"name-first": PERSON}
        body = json.dumps({"data": event}).encode()
        signature = sign(body, WEBHOOK, at=at)
        with pytest.raises(SignatureError) as caught:
            verifier.verify(b"{}", signature)
        self.surfaces.fail(caught.value)
        return verifier, verifier.verify(body, signature)

    def look_around(self):
        """Look at what lies outside: the disk, the environment, the sandbox's log."""
        for path in self.folder.iterdir():
            self.surfaces.add("database", path.read_bytes())
        self.surfaces.add("environment", os.environ)
        log = self.journey.box.log
        self.surfaces.add("sandbox log", *map(repr, log.find()), repr(vars(log)))

    def carried(self):
        """Return which secrets are sent with which operation."""
        sent = {READ: ("token",), OWN: ("api key",)}
        sent[EXCHANGE] = ("api key", "code", "idempotency key")
        return {
            operation: [self.canaries[name] for name in names]
            for operation, names in sent.items()
        }

    async def goes_wrong(self, fault):
        """Do the main job during a fault, and search its outputs."""
        code = await self.a_code()
        faults = self.journey.box.faults
        struck(faults, fault, self.carried())
        manager = await self.manager().__aenter__()
        shared = manager.session(self.scope).inquiries
        work = [manager.exchange(code), shared.retrieve(self.inquiry.id)]
        work += [self.client.verifications.retrieve(self.selfie.id)]
        for each in work:
            try:
                await self.journey.until(each, step=5)
            except PersonaError as error:
                self.surfaces.fail(error)
        self.look_around()
        faults.clear()
        await self.journey.until(manager.aclose(), step=5)


@pytest.mark.asyncio
async def test_g13_eight_secrets_appear_in_none_of_twenty_outputs(
    journey, tmp_path, caplog, capfd
):
    scene = Scene(journey, tmp_path)
    surfaces = scene.surfaces
    async with scene.client:
        with surfaces.watched(caplog, capfd):
            await scene.goes_well()
            for fault in FAULTS:
                await scene.goes_wrong(fault)
    assert len(surfaces.told["exception"]) >= 3 * 2 * len(FAULTS)
    assert len(scene.canaries) == 8
    assert len(surfaces.told) >= 20
    silent = {name for name, texts in surfaces.told.items() if not any(texts)}
    assert silent <= {"streams", "warnings"}
    assert surfaces.holding(scene.canaries) == []
