"""Objects that are entered with ``async with``: once, in one event loop."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import (
    ClientClosedError,
    CodeRefusedError,
    CodeSourceError,
    NotOpenError,
    StoreUnavailableError,
    UsageError,
    WrongEventLoopError,
)
from persona_share.partner import (
    Agreement,
    CodeInbox,
    CodeIssuer,
    PartnerCodeSource,
    SigningKey,
)
from persona_share.stores import MemoryStore, SharedRateLimit
from tests.event_loop import run_iterations


KEY = SigningKey.generate()
CLOSED_PORT = "http://127.0.0.1:9/codes"
KINDS = ["client", "issuer", "source", "inbox"]


class SlowStore(MemoryStore):
    """A store that counts, and whose first opening may fail."""

    def __init__(self, *, fails=False):
        super().__init__()
        self.opened = self.closed = 0
        self.fails = fails

    async def open(self):
        await run_iterations()
        if self.fails:
            self.fails = False
            message = "the store is down"
            raise StoreUnavailableError(message)
        self.opened += 1

    async def aclose(self):
        self.closed += 1


def a_client(store):
    return PersonaClient(
        "key",
        base_url="http://127.0.0.1:9/api/v1",
        insecure_local=True,
        rate_limit=SharedRateLimit(store),
    )


def make(kind, folder, store):
    if kind == "client":
        return a_client(store)
    if kind == "source":
        return PartnerCodeSource(CLOSED_PORT, client_id="org_1", key=KEY, timeout=0.5)
    if kind == "inbox":
        manager = ScopedTokenManager(a_client(SlowStore()))
        return CodeInbox(
            manager,
            sources={"org_1": [KEY.public_jwk]},
            url="http://127.0.0.1:9/inbox",
            store=store,
        )
    now = datetime.now(UTC)  # noqa: TID251  # agreements on the real clock
    agreement = Agreement(
        partner="org_1",
        keys=[KEY.public_jwk],
        permissions=["inquiry.read"],
        valid_from=now - timedelta(days=1),
        valid_until=now + timedelta(days=1),
    )
    return CodeIssuer(
        a_client(SlowStore()),
        agreements=[agreement],
        audit=folder / "audit.jsonl",
        store=store,
        url=CLOSED_PORT,
    )


async def use(kind, made):
    """Use it; raise a `UsageError` if it is not open."""
    if kind == "client":
        made.context.require_open()
    elif kind == "source":
        with pytest.raises(CodeSourceError):
            await made(Scope.read("inq_1"))
    elif kind == "issuer":
        with pytest.raises(CodeRefusedError):
            await made.issue("org_1", "inquiry.read:inq_1")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", KINDS)
async def test_second_entry_is_refused_and_the_first_stays_open(kind, tmp_path):
    store = SlowStore()
    async with make(kind, tmp_path, store) as made:
        with pytest.raises(UsageError, match="entered already"):
            await made.__aenter__()
        await use(kind, made)
        assert store.closed == 0
    assert store.opened == store.closed == (kind != "source")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", KINDS)
async def test_one_of_two_entries_at_once_is_refused(kind, tmp_path):
    store = SlowStore()
    made = make(kind, tmp_path, store)
    outcomes = await asyncio.gather(
        made.__aenter__(), made.__aenter__(), return_exceptions=True
    )
    [refused] = [each for each in outcomes if isinstance(each, UsageError)]
    assert "entered already" in str(refused)
    await use(kind, made)
    await made.__aexit__(None, None, None)
    assert store.opened == store.closed == (kind != "source")


@pytest.mark.asyncio
async def test_one_of_two_entries_of_a_manager_at_once_is_refused():
    store = SlowStore()
    async with a_client(SlowStore()) as client:
        manager = ScopedTokenManager(client, store=store)
        outcomes = await asyncio.gather(
            manager.__aenter__(), manager.__aenter__(), return_exceptions=True
        )
        assert [each for each in outcomes if each is not manager] == [outcomes[1]]
        assert "entered already" in str(outcomes[1])
        await manager.aclose()
    assert store.opened == store.closed == 1


@pytest.mark.parametrize("kind", KINDS)
def test_entry_in_a_second_event_loop_is_refused_and_the_first_stays_open(
    kind, tmp_path
):
    made = make(kind, tmp_path, SlowStore())
    runner, other = asyncio.Runner(), asyncio.Runner()
    with runner, other:
        runner.run(made.__aenter__())
        with pytest.raises(WrongEventLoopError):
            other.run(made.__aenter__())
        runner.run(use(kind, made))
        runner.run(made.__aexit__(None, None, None))


@pytest.mark.parametrize("kind", KINDS)
def test_exit_in_a_second_event_loop_is_refused_and_the_first_stays_open(
    kind, tmp_path
):
    made = make(kind, tmp_path, SlowStore())
    runner, other = asyncio.Runner(), asyncio.Runner()
    with runner, other:
        runner.run(made.__aenter__())
        with pytest.raises(WrongEventLoopError):
            other.run(made.__aexit__(None, None, None))
        runner.run(use(kind, made))
        runner.run(made.__aexit__(None, None, None))


@pytest.mark.parametrize("kind", ["issuer", "inbox"])
def test_mounted_endpoint_is_refused_in_a_second_event_loop(kind, tmp_path):
    made = make(kind, tmp_path, SlowStore())
    runner, other = asyncio.Runner(), asyncio.Runner()
    with runner, other:
        runner.run(made.__aenter__())
        with pytest.raises(WrongEventLoopError):
            other.run(made.lifespan().__aenter__())
        runner.run(made.__aexit__(None, None, None))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["client", "issuer", "inbox"])
async def test_entry_that_failed_can_be_repeated(kind, tmp_path):
    made = make(kind, tmp_path, SlowStore(fails=True))
    with pytest.raises(StoreUnavailableError):
        await made.__aenter__()
    async with made:
        await use(kind, made)


@pytest.mark.asyncio
async def test_code_source_says_whether_it_was_not_entered_or_was_closed(tmp_path):
    source = make("source", tmp_path, SlowStore())
    with pytest.raises(NotOpenError, match="the PartnerCodeSource was not entered"):
        await source(Scope.read("inq_1"))
    async with source:
        pass
    for use_again in (source(Scope.read("inq_1")), source.__aenter__()):
        with pytest.raises(ClientClosedError, match="the PartnerCodeSource was closed"):
            await use_again
