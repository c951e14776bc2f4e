"""Authenticated: credentials, and what happens after a 401."""

import asyncio
import traceback

import attrs
import pytest

from persona_share._pipeline.authenticated import ApiKeyCredential, Authenticated
from persona_share._protocol.http import Request, Response
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    ConfigurationError,
    ConnectionLostError,
    Phase,
)
from persona_share.model.secret import Secret
from persona_share.testing import ScriptedSender


CANARY = "canary-5f2c"
OK = Response(status=200)
NO = Response(status=401, headers={"request-id": "req_1"})
REQUEST = Request(
    method="POST",
    route="/x",
    target="/x",
    deadline=7.0,
    body=b"b",
    idempotency_key=Secret("k"),
)


@attrs.frozen
class FakeAuthorization:
    header: Secret


class FakeCredential:
    """A source with a list of credentials."""

    def __init__(self, *words, held=True):
        self._left = [FakeAuthorization(Secret(f"Bearer {word}")) for word in words]
        self._held = held
        self.calls = []

    def cached(self):
        return self._left.pop(0) if self._held else None

    async def get(self, deadline):
        self.calls.append(("obtain", deadline))
        return self._left.pop(0)

    def on_success(self, authorization, route):
        pass

    async def on_unauthorized(self, authorization, refusals, deadline, route):
        self.calls.append((authorization.header.reveal(), refusals, deadline))
        return self._left.pop(0) if self._left else None


def sent_by(inner):
    return [str(request.authorization) for request in inner.requests]


@pytest.mark.asyncio
async def test_cached_credential_is_used_immediately():
    inner, source = ScriptedSender([OK]), FakeCredential("a")
    assert await Authenticated(inner, source).send(REQUEST) is OK
    assert sent_by(inner) == ["Bearer a"]
    assert source.calls == []


@pytest.mark.asyncio
async def test_missing_credential_is_acquired_within_the_deadline():
    inner, source = ScriptedSender([OK]), FakeCredential("a", held=False)
    await Authenticated(inner, source).send(REQUEST)
    assert sent_by(inner) == ["Bearer a"]
    assert source.calls == [("obtain", 7.0)]


@pytest.mark.asyncio
async def test_refused_request_is_replayed_to_the_letter():
    inner, source = ScriptedSender([NO, OK]), FakeCredential("a", "b")
    response = await Authenticated(inner, source).send(REQUEST)
    assert response.status == 200
    assert sent_by(inner) == ["Bearer a", "Bearer b"]
    bare = [attrs.evolve(each, authorization=None) for each in inner.requests]
    assert bare == [REQUEST, REQUEST]
    assert source.calls == [("Bearer a", 1, 7.0)]
    assert [attempt.status for attempt in response.attempts] == [401, 200]
    assert response.attempts[0].request_id == "req_1"


@pytest.mark.asyncio
async def test_two_replays_are_the_most():
    inner, source = ScriptedSender([NO, NO, NO]), FakeCredential("a", "b", "c", "d")
    response = await Authenticated(inner, source).send(REQUEST)
    assert response.status == 401
    assert source.calls == [("Bearer a", 1, 7.0), ("Bearer b", 2, 7.0)]
    assert len(response.attempts) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("words", ["a", "ab"])
async def test_source_that_gives_up_leaves_the_401_and_all_attempts(words):
    inner = ScriptedSender([NO] * 2)
    response = await Authenticated(inner, FakeCredential(*words)).send(REQUEST)
    assert response.status == 401
    assert [attempt.status for attempt in response.attempts] == [401] * len(words)


@pytest.mark.asyncio
async def test_error_of_a_replay_includes_the_refusal():
    inner = ScriptedSender([NO, ConnectionLostError("lost")])
    with pytest.raises(ConnectionLostError) as caught:
        await Authenticated(inner, FakeCredential("a", "b")).send(REQUEST)
    assert [attempt.status for attempt in caught.value.attempts] == [401]


@pytest.mark.asyncio
async def test_source_error_is_raised_to_the_caller():
    class EmptyCredential(FakeCredential):
        async def get(self, deadline):
            raise AuthorizationCodeRequiredError("none")

    with pytest.raises(AuthorizationCodeRequiredError) as caught:
        await Authenticated(ScriptedSender(), EmptyCredential(held=False)).send(REQUEST)
    assert caught.value.phase is Phase.NOT_SENT


# ── The API key ─────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_api_key_is_held_and_never_replaced():
    inner = ScriptedSender([NO])
    source = ApiKeyCredential(Secret("persona_sandbox_1"))
    assert (await Authenticated(inner, source).send(REQUEST)).status == 401
    assert sent_by(inner) == ["Bearer persona_sandbox_1"]
    assert await source.get(0) is source.cached()


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nX: y", "a\0", "ключ", "a\n"])
def test_key_that_would_change_the_header_is_refused(key):
    with pytest.raises(ConfigurationError) as caught:
        ApiKeyCredential(Secret(key))
    assert key.strip() == "" or key not in str(caught.value)


@pytest.mark.asyncio
async def test_no_frame_of_it_shows_the_key():
    async def cut_off(_request):
        raise asyncio.CancelledError

    bearer = Authenticated(ScriptedSender([cut_off]), ApiKeyCredential(Secret(CANARY)))
    with pytest.raises(asyncio.CancelledError) as caught:
        await bearer.send(REQUEST)
    shown = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    assert CANARY not in "".join(shown.format())
