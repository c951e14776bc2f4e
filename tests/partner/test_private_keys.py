"""A private key at a place for a public one is refused, and no frame keeps it."""

import json
import traceback

import attrs
import pytest
from _pytest._io.saferepr import saferepr
from joserfc import jwk

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.errors import PersonaError
from persona_share.partner import (
    Agreement,
    CodeInbox,
    CodeIssuer,
    PartnerCodeSource,
    SigningKey,
    load_agreements,
)
from persona_share.partner.agreements import Agreements
from persona_share.partner.keys import PublicKey
from persona_share.stores import MemoryStore
from tests.partner.test_agreements import GOOD, TABLE, write


URL = "https://source.example/codes"


@attrs.frozen
class Private:
    """A private key in several forms, and the text that must not be shown."""

    jwk: dict
    pem: str

    @property
    def parts(self):
        lines = self.pem.splitlines()[1:-1]
        return [self.jwk["d"], *lines]


@pytest.fixture(params=["P-256", "P-384"])
def private(request):
    key = jwk.ECKey.generate_key(request.param)
    return Private(key.as_dict(private=True), key.as_pem(private=True).decode())


def frames_of(error):
    """Return what an error report shows of the library's frames and of all causes."""
    shown, causes = [], [error]
    while causes:
        cause = causes.pop()
        causes += filter(None, (cause.__cause__, cause.__context__))
        shown += [str(cause), repr(vars(cause))]
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if frame.f_globals.get("__name__") != __name__:
                shown += [saferepr(x, maxsize=None) for x in frame.f_locals.values()]
    return "\n".join(shown)


def a_manager():
    return ScopedTokenManager(PersonaClient("key"))


def an_issuer(folder, **options):
    return CodeIssuer(
        PersonaClient("key"),
        audit=folder / "audit.jsonl",
        store=MemoryStore(),
        **{"agreements": [Agreement(**GOOD)], **options},
    )


def of_a_file(folder, key):
    """Return the path of agreements that contain the key itself."""
    inline = "{" + ", ".join(f'"{name}" = "{each}"' for name, each in key.items()) + "}"
    table = TABLE.replace('keys_file = "keys.json"', f"keys = [{inline}]")
    return write(folder / "agreements.toml", table)


def with_a_key_file(folder, text):
    write(folder / "keys.json", text)
    return write(folder / "agreements.toml", TABLE)


PLACES = {
    "a public key": lambda folder, key: PublicKey.from_jwk(key.jwk),
    "an agreement": lambda folder, key: Agreement(**(GOOD | {"keys": [key.jwk]})),
    "one key": lambda folder, key: Agreement(**(GOOD | {"keys": key.jwk})),
    "PEM": lambda folder, key: Agreement(**(GOOD | {"keys": key.pem})),
    "a source of an inbox": lambda folder, key: CodeInbox(
        a_manager(), sources={"org_1": [key.jwk]}, url=URL
    ),
    "sources of an inbox": lambda folder, key: CodeInbox(
        a_manager(), sources=[key.jwk], url=URL
    ),
    "a file": lambda folder, key: load_agreements(of_a_file(folder, key.jwk)),
    "a file of an issuer": lambda folder, key: an_issuer(
        folder, agreements=of_a_file(folder, key.jwk)
    ),
    "a key file": lambda folder, key: load_agreements(
        with_a_key_file(folder, json.dumps(key.jwk))
    ),
    "a PEM file": lambda folder, key: Agreements(with_a_key_file(folder, key.pem)),
    "a private key as a mapping": lambda folder, key: SigningKey(key.jwk),
    "the key of a code source": lambda folder, key: PartnerCodeSource(
        URL, client_id="org_1", key=key.jwk
    ),
    "the key of an issuer": lambda folder, key: an_issuer(folder, key=key.jwk),
}


@pytest.mark.parametrize("place", PLACES)
def test_private_key_is_refused_and_in_no_frame(place, private, tmp_path):
    with pytest.raises(PersonaError) as caught:
        PLACES[place](tmp_path, private)
    shown = frames_of(caught.value)
    assert [each for each in private.parts if each in shown] == []


def test_report_shows_the_locals_of_our_frames(private):
    """The check above can fail."""
    with pytest.raises(PersonaError) as caught:
        PublicKey._from_jwk(private.jwk)
    assert private.jwk["d"] in frames_of(caught.value)
