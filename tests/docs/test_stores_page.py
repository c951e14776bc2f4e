"""The page about stores: each Python block runs, two workers at a time."""

import pytest

from persona_share import PersonaClient
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore, RedisStore, SQLiteStore
from tests.docs.blocks import blocks_of, names_of
from tests.postgres_server import one_postgres, postgres_server
from tests.redis_server import one_redis, redis_server


__all__ = ["one_postgres", "one_redis", "postgres_server", "redis_server"]

PAGE = "docs/howto/stores.md"
ONE_MACHINE, ALL_MACHINES, POSTGRES, LIMITED = blocks_of(PAGE)


async def both(sandbox, run, *arguments):
    """Run the code of a worker twice, as two workers would; return both results."""

    async def ask_partner(scope):
        async with PersonaClient(
            sandbox.source.api_key, base_url=sandbox.url, insecure_local=True
        ) as source:
            return await source.oauth.authorize(
                client_id=sandbox.destination.id, scope=scope
            )

    return [await run(ask_partner, *arguments) for _ in range(2)]


@pytest.mark.asyncio
async def test_two_workers_on_one_machine_use_one_code(tmp_path):
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry().id
        names = names_of(ONE_MACHINE, PAGE, sandbox, sandbox.destination)
        path = str(tmp_path / "tokens.db")
        got = await both(sandbox, names["worker"], path, inquiry)
        issued = sandbox.log.tokens_issued

    assert got == [inquiry, inquiry]
    assert issued == 1


@pytest.mark.asyncio
async def test_two_workers_on_two_machines_use_one_code(redis_server):
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry().id
        names = names_of(ALL_MACHINES, PAGE, sandbox, sandbox.destination)
        keys = [b"\x01" * 32]
        got = await both(sandbox, names["serve"], redis_server.url, keys, inquiry)
        issued = sandbox.log.tokens_issued

    assert got == [f"inquiry.read:{inquiry}"] * 2
    assert issued == 1


@pytest.mark.asyncio
async def test_store_on_the_page_creates_its_table(postgres_server):
    store = names_of(POSTGRES, PAGE)["store_of"](postgres_server.url, [b"\x01" * 32])
    await store.open()
    written = await store.write("scope/1", b"value", if_etag="", ttl=60)
    await store.aclose()

    assert written is True


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
@pytest.mark.asyncio
async def test_limit_can_be_shared(request, tmp_path, kind):
    if kind == "redis":
        store = RedisStore(request.getfixturevalue("redis_server").url)
    else:
        store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "x.db")
    async with Sandbox() as sandbox:
        block = LIMITED.replace(
            "PersonaClient.from_env(rate_limit=limit)",
            "from_the_sandbox(rate_limit=limit)",
        )

        def client(**options):
            return PersonaClient(
                sandbox.destination.api_key,
                base_url=sandbox.url,
                insecure_local=True,
                **options,
            )

        names = names_of(block, PAGE, from_the_sandbox=client)
        assert await names["limited"](store)
