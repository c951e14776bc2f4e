"""The control API under /_sandbox, which any language can use."""

import json
from importlib.resources import files

import aiohttp
import pytest

from persona_share.errors import ConfigurationError
from persona_share.sandbox import Limits, Sandbox
from tests.sandbox.raw import RawClient, body
from tests.sandbox.sharing import connect


async def control(raw, method, path, given=None, **headers):
    options = {} if given is None else {"json": given}
    url = raw.sandbox.inspector_url.removesuffix("/") + path
    return await raw.send(method, url, headers=headers, **options)


@pytest.mark.asyncio
async def test_clock_is_advanced(sandbox, raw):
    before = sandbox.now()

    response = await control(raw, "POST", "/clock/advance", {"seconds": 90})

    assert response.json == {"now": before + 90}
    assert sandbox.now() == before + 90


@pytest.mark.asyncio
@pytest.mark.parametrize("seconds", [None, "1", -1, True, 1e12])
async def test_clock_refuses_anything_but_a_duration(raw, seconds):
    response = await control(raw, "POST", "/clock/advance", {"seconds": seconds})

    assert response.status == 400


@pytest.mark.asyncio
async def test_connection_is_accepted_and_archived(sandbox, raw):
    given = body(destination_organization_id=sandbox.destination.id)
    made = await raw.post("/connect/connections", json=given)
    connection = made.json["data"]["id"]

    accepted = await control(raw, "POST", f"/connections/{connection}/accept")
    shown = await raw.get(f"/connect/connections/{connection}")
    twice = await control(raw, "POST", f"/connections/{connection}/accept")
    archived = await control(raw, "POST", f"/connections/{connection}/archive")
    gone = await raw.get(f"/connect/connections/{connection}")

    assert shown.json["data"]["attributes"]["status"] == "active"
    statuses = (accepted.status, twice.status, archived.status, gone.status)
    assert statuses == (204, 404, 204, 404)


@pytest.mark.asyncio
async def test_switches_are_listed_and_set(sandbox, raw):
    listed = {
        each["name"]: each for each in (await control(raw, "GET", "/switches")).json
    }
    given = {"used_code_status": 409, "scope_order": "canonical", "oauth_quota": None}

    done = await control(raw, "PATCH", "/switches", given)

    assert listed["scope_order"]["choices"] == ["as_given", "canonical", "shuffled"]
    assert listed["used_code_status"]["default"] == 400
    assert done.status == 200
    assert sandbox.switches.used_code_status == 409
    assert sandbox.switches.scope_order == "canonical"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "given",
    [
        {"no_such_switch": 1},
        {"scope_order": "random"},
        {"code_is_single_use": "perhaps"},
        {"used_code_status": 400.5},
    ],
)
async def test_invalid_switch_changes_nothing(sandbox, raw, given):
    response = await control(
        raw, "PATCH", "/switches", {"replay_marker": "X-Replay", **given}
    )

    assert response.status == 400
    assert sandbox.switches.replay_marker is None


@pytest.mark.asyncio
async def test_fault_is_planned_listed_and_removed(sandbox, raw):
    fault = {"operation": "GET /inquiries", "kind": "answer", "status": 503, "times": 2}

    planned = await control(raw, "POST", "/faults", fault)
    struck = await raw.get("/inquiries")
    left = await control(raw, "GET", "/faults")
    removed = await control(raw, "DELETE", "/faults")
    after = await raw.get("/inquiries")

    assert planned.json[0]["times"] == 2
    assert left.json[0]["times"] == 1
    assert (struck.status, removed.status, after.status) == (503, 204, 200)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "GET /nowhere", "kind": "cut"},
        {"operation": "*", "kind": "explode"},
        {"operation": "*", "kind": "cut", "times": 0},
        {"operation": "*"},
        {"operation": "*", "kind": "cut", "unknown": 1},
    ],
)
async def test_invalid_fault_is_refused_by_the_control_api(sandbox, raw, fault):
    assert (await control(raw, "POST", "/faults", fault)).status == 400
    assert sandbox.faults.pending == 0


@pytest.mark.asyncio
async def test_log_and_one_request_are_shown_without_credentials(sandbox, raw):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    token = await raw.token(scope)

    log = await control(raw, "GET", "/log?operation=POST /oauth/token")
    (entry,) = log.json
    shown = await control(raw, "GET", f"/requests/{entry['number']}")
    missing = await control(raw, "GET", "/requests/0")

    assert entry["status"] == 201
    assert shown.json["response_body"]["access-token"] == "••••"
    assert shown.json["response_body"]["scope"] == scope
    assert shown.json["request_headers"]["Authorization"] == "Bearer ••••"
    assert token.encode() not in shown.body + log.body
    assert missing.status == 404


@pytest.mark.asyncio
async def test_reset_restores_the_initial_state(sandbox, raw):
    first = sandbox.populate(2)
    connection = sandbox.connect()
    sandbox.switches.used_code_status = 409
    sandbox.faults.cut("GET /inquiries")
    token = await raw.token(f"inquiry.read:{first[0]}")

    done = await control(raw, "POST", "/reset")

    listed = await raw.get("/inquiries")
    connections = await raw.get("/connect/connections")
    ids = [each["id"] for each in listed.json["data"]]
    assert done.status == 204
    assert len(ids) == 2
    assert set(ids).isdisjoint(first)
    assert [each["id"] for each in connections.json["data"]] != [connection]
    assert (await raw.get(f"/inquiries/{ids[0]}", token)).status == 401
    assert sandbox.switches.used_code_status == 400


@pytest.mark.asyncio
async def test_inquiries_are_added(sandbox, raw):
    added = await control(raw, "POST", "/inquiries", {"number": 2})

    ids = added.json["inquiries"]
    assert [(await raw.get(f"/inquiries/{each}")).status for each in ids] == [200, 200]
    assert (await control(raw, "POST", "/inquiries", {"number": 0})).status == 400


@pytest.mark.asyncio
async def test_requests_from_another_origin_are_refused(sandbox, raw):
    origin = "https://evil.example"
    without_body = await control(raw, "POST", "/reset", Origin=origin)
    url = raw.sandbox.inspector_url + "clock/advance"
    as_form = await raw.send("POST", url, data=b'{"seconds": 1}')

    assert (without_body.status, as_form.status) == (403, 415)


@pytest.mark.asyncio
async def test_page_has_a_content_security_policy_for_its_own_content(raw):
    page = await control(raw, "GET", "/")

    policy = page.headers["Content-Security-Policy"]
    assert page.status == 200
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert b"http://" not in page.body.replace(b"http://www.w3.org", b"")


@pytest.mark.asyncio
async def test_stream_sends_the_state_and_then_changes(sandbox, raw):
    url = sandbox.inspector_url + "events"
    async with raw.session.get(url) as response:
        first = await response.content.readuntil(b"\n\n")
        await raw.get("/inquiries")
        second = await response.content.readuntil(b"\n\n")

    states = [json.loads(each.removeprefix(b"data: ")) for each in (first, second)]
    assert [len(each["requests"]) for each in states] == [0, 1]


@pytest.mark.asyncio
async def test_every_path_of_the_description_is_served(sandbox, raw):
    description = (await control(raw, "GET", "/openapi.json")).json

    for path, methods in description["paths"].items():
        for method in methods:
            if path == "/events":
                continue
            url = path.replace("{connection-id}", await connect(raw))
            response = await control(raw, method.upper(), url.replace("{number}", "1"))
            assert response.status not in {404, 405} or "{" in path, (method, path)


def test_description_lists_the_served_operations():
    text = (files("persona_share.sandbox.inspector") / "openapi.json").read_text()

    assert json.loads(text)["openapi"].startswith("3.")


@pytest.mark.asyncio
async def test_given_api_keys_are_used():
    keys = {"source_key": "localbox_one", "destination_key": "localbox_two"}
    async with Sandbox(**keys) as sandbox, aiohttp.ClientSession() as session:
        response = await RawClient(session, sandbox).get("/inquiries", "localbox_two")

    assert (sandbox.source.api_key, sandbox.destination.api_key) == tuple(keys.values())
    assert response.status == 200


@pytest.mark.parametrize(
    "keys",
    [
        {"source_key": "persona_sandbox_1"},
        {"source_key": "localbox_1", "destination_key": "localbox_1"},
    ],
)
def test_foreign_or_repeated_api_key_is_refused(keys):
    with pytest.raises(ConfigurationError, match="localbox_"):
        Sandbox(**keys)


@pytest.mark.asyncio
async def test_urls_have_the_public_host():
    options = {"host": "127.0.0.1", "public_host": "localhost"}
    async with Sandbox(**options) as sandbox, aiohttp.ClientSession() as session:
        document = sandbox.add_document()
        response = await RawClient(session, sandbox).get(f"/documents/{document.id}")

    assert sandbox.url.startswith("http://localhost:")
    (file,) = response.json["data"]["attributes"]["files"]
    assert file["url"].startswith("http://localhost:")


@pytest.mark.asyncio
async def test_tables_are_bounded():
    limits = Limits(
        log_entries=5,
        objects=3,
        events=2,
        credentials=2,
        share_tokens=1,
        idempotency_keys=2,
        inspected_requests=4,
    )
    async with Sandbox(limits=limits) as sandbox, aiohttp.ClientSession() as session:
        raw = RawClient(session, sandbox)
        oldest = sandbox.add_inquiry().id
        kept = [sandbox.add_inquiry().id for _ in range(3)]
        tokens = [await raw.token(f"inquiry.read:{kept[-1]}") for _ in range(3)]
        statuses = [
            (await raw.get(f"/inquiries/{kept[-1]}", token)).status for token in tokens
        ]
        missing = await raw.get(f"/inquiries/{oldest}")
        for key in ("a", "b", "c", "a"):
            headers = {"Idempotency-Key": key}
            await raw.post("/inquiries/search", json={}, headers=headers)
        log = await control(raw, "GET", "/log")

    assert missing.status == 404
    assert statuses == [401, 200, 200]
    assert len(sandbox.log) == 5
    assert sandbox.log.count(replayed=True) == 0
    assert len(log.json) == 4


@pytest.mark.asyncio
async def test_organization_keeps_its_api_key_when_the_table_is_full():
    limits = Limits(credentials=2)
    async with Sandbox(limits=limits) as sandbox, aiohttp.ClientSession() as session:
        raw = RawClient(session, sandbox)
        keys = [sandbox.add_api_key(sandbox.source) for _ in range(3)]
        statuses = [
            (await raw.get("/rate-limits", key)).status
            for key in (sandbox.source.api_key, *keys)
        ]

    assert statuses == [200, 401, 401, 200]


@pytest.mark.asyncio
async def test_oldest_files_are_dropped_when_their_total_size_is_reached():
    limits = Limits(file_bytes=100)
    async with Sandbox(limits=limits) as sandbox, aiohttp.ClientSession() as session:
        raw = RawClient(session, sandbox)
        documents = [sandbox.add_document(content=b"x" * 40).id for _ in range(3)]
        statuses = []
        for document in documents:
            response = await raw.get(f"/documents/{document}")
            (file,) = response.json["data"]["attributes"]["files"]
            statuses.append((await raw.send("GET", file["url"])).status)

    assert statuses == [404, 200, 200]


@pytest.mark.asyncio
async def test_long_body_is_shown_by_its_size(sandbox, raw):
    photo = {"data": "A" * 80_000, "filename": "a.png"}
    given = {"data": {"attributes": {"selfie-photo": {"data": photo}}}}
    body = json.dumps(given)
    headers = {"Content-Type": "application/json"}
    created = await raw.post("/accounts", data=body, headers=headers)
    (shown,) = (await control(raw, "GET", "/log")).json
    details = (await control(raw, "GET", f"/requests/{shown['number']}")).json

    assert created.status == 201
    assert details["request_body"] == f"application/json, {len(body)} bytes"
    assert details["response_body"]["data"]["type"] == "account"


def test_limit_below_one_is_refused():
    with pytest.raises(ConfigurationError, match="at least 1"):
        Limits(objects=0)


@pytest.mark.asyncio
async def test_person_has_the_given_fields(sandbox, raw):
    inquiry = sandbox.add_person(id="inq_ann", name_first="Ann", household_size=3)

    fields = (await raw.get("/inquiries/inq_ann")).json["data"]["attributes"]["fields"]
    assert inquiry == "inq_ann"
    assert fields["name-first"]["value"] == "Ann"
    assert fields["household-size"] == {"type": "number", "value": 3}
    with pytest.raises(ValueError, match="already"):
        sandbox.add_person(id="inq_ann")
