"""Secrets are masked when printed, and are never pickled or copied."""

import copy
import json
import logging
import pickle

import attrs
import cattrs
import pytest

from persona_share import AuthorizationCode, Secret
from persona_share.errors import InvalidArgumentError
from persona_share.model.secret import MaskedText
from persona_share.testing.factories import access_token


CANARY = "canary-secret"


@attrs.frozen
class Holder:
    secret: Secret


@pytest.mark.parametrize("kind", [Secret, AuthorizationCode])
def test_secret_is_masked_in_every_text_form(kind):
    secret = kind(CANARY)
    texts = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        "%s %r" % (secret, secret),  # noqa: UP031  # one of the ways
        "{:>30}".format(secret),  # noqa: UP032  # another
        repr([secret]),
        repr(Holder(secret)),
        repr(attrs.asdict(Holder(secret))),
        repr(cattrs.unstructure(Holder(secret))),
        logging.makeLogRecord({"msg": "%s", "args": (secret,)}).getMessage(),
    ]
    assert not [text for text in texts if CANARY in text]


@pytest.mark.parametrize(
    "leak",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps],
    ids=["pickle", "copy", "deepcopy", "json"],
)
def test_it_is_never_pickled_copied_or_serialised(leak):
    with pytest.raises(TypeError) as caught:
        leak(Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_only_reveal_returns_the_value():
    assert Secret(CANARY).reveal() == CANARY
    assert dir(Secret(CANARY)) == ["reveal"]


def test_secret_equals_only_a_secret_of_the_same_value():
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY


def test_secret_has_no_hash_and_no_order():
    with pytest.raises(TypeError):
        hash(Secret(CANARY))
    with pytest.raises(TypeError):
        sorted([Secret("a"), Secret("b")])


def test_only_text_can_be_a_secret():
    with pytest.raises(InvalidArgumentError, match="not bytes"):
        Secret(b"canary")


def test_masked_text_masks_its_repr_and_every_copy():
    text = MaskedText(f"Bearer {CANARY}")
    assert text == f"Bearer {CANARY}"
    assert CANARY not in repr({"Authorization": text})
    copies = copy.copy(text), copy.deepcopy([text])[0], pickle.loads(pickle.dumps(text))  # noqa: S301 - our own
    assert copies == ("<masked>",) * 3


def test_header_of_a_token_is_a_secret():
    header = access_token("inquiry.read:inq_1", "CANARY").header

    assert "CANARY" not in f"{header} {header!s} {header!r}"
    assert header.reveal() == "Bearer CANARY"
