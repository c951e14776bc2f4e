"""Deliveries become events, repetitions are told, and nothing forged is read."""

import ast
import asyncio
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from persona_share import webhooks
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    SignatureError,
)
from persona_share.model.inquiry import Inquiry
from persona_share.model.secret import Secret
from persona_share.model.share_token import ShareToken
from persona_share.stores import MemoryStore
from persona_share.testing.clock import FakeClock, fake_runtime
from persona_share.webhooks import (
    EventName,
    MemoryReplayGuard,
    StoreReplayGuard,
    Verifier,
    sign,
)
from tests.redis_server import one_redis, redis_server


__all__ = ["one_redis", "redis_server"]

SECRET = "wbhsec_one"
PACKAGE = Path(webhooks.__file__).parent


def delivery(name="inquiry.approved", event_id="evt_1", data=None):
    data = data or {
        "type": "inquiry",
        "id": "inq_1",
        "attributes": {"status": "approved"},
    }
    attributes = {
        "name": name,
        "created-at": "2026-01-01T00:00:00.000Z",
        "payload": {"data": data, "included": []},
        "context": {},
    }
    event = {"type": "event", "id": event_id, "attributes": attributes}
    return orjson.dumps({"data": event})


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def verifier(clock):
    return Verifier([SECRET], clock=clock)


def test_a_signed_delivery_is_its_event(verifier, clock):
    body = delivery()

    event = verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert event.id == "evt_1"
    assert event.name == "inquiry.approved"
    assert event.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert isinstance(event.subject, Inquiry)
    assert event.subject.status == "approved"
    assert not event.is_sharing


@pytest.mark.parametrize("name", list(EventName))
def test_an_event_of_sharing_is_named(verifier, clock, name):
    token = {"type": "connect/share-token", "id": "cnst_1", "attributes": {}}
    body = delivery(name.value, data=token)

    event = verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert event.name is name
    assert event.is_sharing
    assert isinstance(event.subject, ShareToken)


def test_f55_an_event_of_another_name_is_kept(verifier, clock):
    body = delivery("connect/share-token.brand-new")

    event = verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert event.name == "connect/share-token.brand-new"
    assert not event.name.known
    assert event.is_sharing


@pytest.mark.parametrize(
    ("body", "header", "reason"),
    [
        (delivery(), None, "missing"),
        (delivery(), "t=1", "malformed"),
        (delivery(), "t=1,v1=" + "0" * 64, "mismatch"),
    ],
)
def test_f140_a_refusal_says_why_and_nothing_else(verifier, body, header, reason):
    with pytest.raises(SignatureError) as caught:
        verifier.verify(body, header)

    assert caught.value.reason == reason
    assert "evt_1" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data":null}',
        b"nonsense",
        b'{"data":{"type":"inquiry","id":"inq_1"}}',
    ],
)
def test_what_is_signed_but_no_event_is_refused_as_well(verifier, clock, body):
    with pytest.raises(SignatureError) as caught:
        verifier.verify(body, sign(body, SECRET, at=clock.wall()))

    assert caught.value.reason == "not_an_event"
    assert caught.value.__context__ is None


def test_f141_a_delivery_that_was_kept_back_is_refused(verifier, clock):
    body = delivery()
    header = sign(body, SECRET, at=clock.wall())
    clock.advance(301)

    with pytest.raises(SignatureError) as caught:
        verifier.verify(body, header)
    assert caught.value.reason == "too_old"


def test_f142_the_secret_that_matched_is_told(clock):
    body = delivery()
    verifier = Verifier([Secret("wbhsec_old"), Secret("wbhsec_new")], clock=clock)

    held = verifier.check(body, sign(body, "wbhsec_new", at=clock.wall()))

    assert held.secret == 1
    assert held.signed_at == clock.wall()


def test_a_body_that_is_no_longer_bytes_is_refused(verifier):
    with pytest.raises(InvalidArgumentError):
        verifier.verify(delivery().decode(), "t=1,v1=0")


@pytest.mark.parametrize("secrets", [[], "", [""], ["a", ""], ["a"] * 9])
def test_a_verifier_without_a_secret_cannot_be_made(secrets):
    with pytest.raises(ConfigurationError):
        Verifier(secrets)


@pytest.mark.parametrize("tolerance", [0, -1, float("inf"), float("nan"), True])
def test_a_verifier_that_tolerates_everything_cannot_be_made(tolerance):
    with pytest.raises(ConfigurationError):
        Verifier(SECRET, tolerance)


def test_a_verifier_shows_no_secret():
    assert repr(Verifier(SECRET)) == "<Verifier with 1 secrets>"


@pytest.mark.asyncio
async def test_f144_the_same_event_three_times_is_new_once(clock):
    verifier = Verifier(SECRET, guard=MemoryReplayGuard(clock=clock), clock=clock)
    body = delivery()
    header = sign(body, SECRET, at=clock.wall())

    received = await asyncio.gather(*(verifier.receive(body, header) for _ in range(3)))

    assert sorted(each.is_new for each in received) == [False, False, True]
    assert {each.event.id for each in received} == {"evt_1"}


@pytest.mark.asyncio
async def test_f144_a_repetition_at_the_end_of_all_retries_is_still_told(clock):
    verifier = Verifier(SECRET, guard=MemoryReplayGuard(clock=clock), clock=clock)
    body = delivery()
    await verifier.receive(body, sign(body, SECRET, at=clock.wall()))
    clock.advance(timedelta(hours=52).total_seconds())

    again = await verifier.receive(body, sign(body, SECRET, at=clock.wall()))

    assert again.is_new is False


@pytest.mark.asyncio
@pytest.mark.parametrize("guard", ["memory", "store"])
async def test_an_event_that_could_not_be_handled_is_new_when_it_comes_again(
    clock, guard
):
    guard = (
        MemoryReplayGuard(clock=clock)
        if guard == "memory"
        else StoreReplayGuard(MemoryStore(runtime=fake_runtime(clock)))
    )
    verifier = Verifier(SECRET, guard=guard, clock=clock)
    body = delivery()
    header = sign(body, SECRET, at=clock.wall())

    first = await verifier.receive(body, header)
    await verifier.forget(first.event)
    again = await verifier.receive(body, header)
    repeated = await verifier.receive(body, header)

    assert [each.is_new for each in (first, again, repeated)] == [True, True, False]


@pytest.mark.asyncio
async def test_f144_a_store_remembers_for_as_long_as_a_delivery_is_repeated(clock):
    guard = StoreReplayGuard(MemoryStore(runtime=fake_runtime(clock)))

    first = await guard.is_new("evt_1", 100)
    clock.advance(99)
    early = await guard.is_new("evt_1", 100)
    clock.advance(2)
    late = await guard.is_new("evt_1", 100)

    assert [first, early, late] == [True, False, True]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_f144_of_two_processes_at_once_one_has_the_new_event(
    tmp_path, request, kind
):
    place = tmp_path / "events.db"
    if kind == "redis":
        place = request.getfixturevalue("redis_server").url
    command = [sys.executable, "-m", "tests.receiver", str(place), "3"]
    options = {"stdin": PIPE, "stdout": PIPE, "cwd": Path(__file__).parents[1]}
    processes = [
        await asyncio.create_subprocess_exec(*command, **options) for _ in range(2)
    ]
    for each in processes:
        assert await each.stdout.readline() == b"ready\n"

    told = await asyncio.gather(*(each.communicate(b"go\n") for each in processes))

    lines = [line for said, _ in told for line in said.decode().splitlines()]
    assert sorted(lines) == ["evt_1 duplicate"] * 5 + ["evt_1 new"]
    if kind == "sqlite":  # which holds hashes only
        assert b"evt_1" not in place.read_bytes()


@pytest.mark.asyncio
async def test_without_a_guard_nothing_is_said_about_repetition(verifier, clock):
    body = delivery()

    received = await verifier.receive(body, sign(body, SECRET, at=clock.wall()))

    assert received.is_new is None


@pytest.mark.asyncio
async def test_a_forged_event_is_not_remembered(clock):
    guard = MemoryReplayGuard(clock=clock)
    verifier = Verifier(SECRET, guard=guard, clock=clock)

    with pytest.raises(SignatureError):
        await verifier.receive(delivery(), "t=1,v1=" + "0" * 64)

    assert len(guard) == 0


@pytest.mark.asyncio
async def test_a_guard_forgets_what_has_ended_and_the_oldest_of_too_many(clock):
    guard = MemoryReplayGuard(most=2, clock=clock)

    assert await guard.is_new("evt_1", 10)
    clock.advance(11)
    assert await guard.is_new("evt_1", 100)
    assert await guard.is_new("evt_2", 100)
    assert await guard.is_new("evt_3", 100)
    assert len(guard) == 2
    assert not await guard.is_new("evt_3", 100)


@pytest.mark.parametrize("file", ["webhooks.py", "_protocol/signature.py"])
def test_t21_no_digest_is_compared_by_equality(file):
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    compared = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    }

    assert compared.isdisjoint({"mac", "digest", "expected", "secret"})
