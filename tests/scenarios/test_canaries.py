"""G13: secrets appear in no output, in a scenario with many failures."""

import asyncio
import gc
import logging
import sys
import traceback
import warnings
from pathlib import Path

import attrs
import cattrs
import pytest

from persona_share import PersonaClient, Scope
from persona_share.errors import PersonaError
from persona_share.model.policy import RetryPolicy


TESTS = Path(__file__).parents[1]


def _texts_of(error):
    """All texts of an error, with the locals of all frames except the test's."""
    seen = [str(error), repr(error), repr(error.__dict__)]
    chain = traceback.TracebackException.from_exception(
        error, limit=1_000, capture_locals=True
    )
    while chain is not None:
        seen += [
            f"{name}={value}"
            for frame in chain.stack
            if not Path(frame.filename).is_relative_to(TESTS)
            for name, value in (frame.locals or {}).items()
        ]
        seen += list(chain.format_exception_only())
        chain = chain.__cause__ or chain.__context__
    return seen


async def _failures(scenario, client, inquiry, texts):
    """Cause many failures, and return the texts of their errors."""
    faults, scope = scenario.sandbox.faults, Scope.read(inquiry.id)

    async def fails(work, step=1.0):
        with pytest.raises((PersonaError, asyncio.CancelledError)) as caught:
            await scenario.advance_until_done(work, step=step)
        texts.extend(_texts_of(caught.value))

    await fails(client.inquiries.retrieve("inq_unknown"))
    await fails(client.request("POST", "/nowhere", json={"a": 1}))
    for inject in (faults.cut, faults.lose_answer, faults.truncate):
        inject("GET /inquiries/{inquiry-id}", times=9)
        await fails(client.inquiries.retrieve(inquiry.id))
        faults.clear()
    for status in (302, 400, 401, 403, 409, 422, 429, 500):
        faults.answer("*", status, times=9)
        await fails(client.inquiries.retrieve(inquiry.id))
        await fails(client.oauth.authorize(client_id="org_1", scope=scope))
        faults.clear()
    for status in (201, 400, 401, 403, 500, 503):
        code = await scenario.ask_partner(scope)
        faults.answer("POST /oauth/token", status, body=b"{}", times=9)
        async with scenario.manager(codes=None) as manager:
            await fails(manager.exchange(code))
        faults.clear()
    code = await scenario.ask_partner(scope)
    faults.lose_answer("POST /oauth/token", times=9)
    async with scenario.manager(codes=None) as manager:
        await fails(manager.exchange(code))
    faults.clear()
    faults.hang("GET /inquiries/{inquiry-id}")
    hanging = asyncio.ensure_future(client.inquiries.retrieve(inquiry.id))
    await asyncio.sleep(0.05)  # noqa: TID251  # until it hangs in a real socket
    hanging.cancel()
    await fails(hanging)
    faults.release()


@pytest.mark.asyncio
async def test_no_output_shows_a_key_a_code_or_a_token(scenario, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    # aiohttp keeps the stack of each request in debug mode: source, no values.
    monkeypatch.setattr(sys, "tracebacklimit", 3, raising=False)
    caplog.handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    asyncio.get_running_loop().set_debug(True)
    inquiry = scenario.sandbox.add_inquiry()
    texts, events, canaries = [], [], []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        runtime = scenario.source.context.runtime
        async with PersonaClient(
            scenario.sandbox.source.api_key,
            base_url=scenario.sandbox.url,
            insecure_local=True,
            hooks=[events.append],
            retry=RetryPolicy(),
            _runtime=runtime,
        ) as client:
            async with scenario.manager(hooks=[events.append]) as manager:
                session = manager.session(Scope.read(inquiry.id))
                shared = await session.inquiries.retrieve(inquiry.id)
                token = await manager.token(session.scope)
                code = await scenario.ask_partner(session.scope)
                await manager.exchange(code)
                values = [client, manager, session, token, code, shared, session.scope]
                values += [manager.tokens(), client.context, client.inquiries]
                texts += [f"{each!r} {each!s} {each}" for each in values]
                texts += [repr(vars(each)) for each in (client, manager)]
                texts += [repr(attrs.asdict(runtime)), repr(cattrs.unstructure(token))]
                canaries += [token.reveal(), code.reveal()]
            await _failures(scenario, client, inquiry, texts)
        gc.collect()
    texts += [repr(event) for event in events]
    texts += [str(warning.message) for warning in warned]
    texts += [caplog.text]
    canaries += [scenario.sandbox.source.api_key, scenario.sandbox.destination.api_key]
    assert len(texts) > 200
    assert caplog.records
    assert [
        (canary[:12], text[:200])
        for canary in canaries
        for text in texts
        if canary in text
    ] == []


@pytest.mark.asyncio
async def test_no_output_repeats_the_text_of_a_code_source(scenario, caplog):
    caplog.set_level(logging.DEBUG)
    inquiry = scenario.sandbox.add_inquiry()

    async def broken(scope):
        code = (await scenario.ask_partner(scope)).reveal()
        message = f"could not parse {code}"
        canaries.append(code)
        raise ValueError(message)

    canaries, events = [], []
    async with scenario.manager(codes=broken, hooks=[events.append]) as manager:
        with pytest.raises(PersonaError) as caught:
            await manager.token(Scope.read(inquiry.id))
        events.append(manager.metrics())
    # The program's own exception is the cause; it is not in anything else.
    error, cause = caught.value, caught.value.__cause__
    assert canaries[0] in str(cause)
    error.__cause__ = None
    frames = traceback.extract_tb(cause.__traceback__)
    assert [Path(frame.filename).name for frame in frames] == ["test_canaries.py"]
    text = "".join([*_texts_of(error), *map(repr, events), caplog.text])
    assert canaries[0] not in text
    assert "ValueError (test_canaries.py:" in text
