"""The layers of an answer, in Persona's documented order.

Authentication (401) and the limiter (429) come before the idempotency layer, so that
what they refuse is never kept; the handlers come after it.
"""

import attrs

from persona_share.sandbox.callers import identify
from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.effects import Effect
from persona_share.sandbox.faults import Plan
from persona_share.sandbox.idempotency import Idempotency
from persona_share.sandbox.inflection import checked_inflection
from persona_share.sandbox.limits import Window, admit
from persona_share.sandbox.organizations import ApiKey
from persona_share.sandbox.outgoing import entry_of, headers_of
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.reading import Handler, nowhere
from persona_share.sandbox.state import State
from persona_share.sandbox.versions import NEWEST, checked_version


class Cut(Exception):  # noqa: N818 - it is an outcome, not an error of ours
    """The connection ends here, without an answer."""


@attrs.frozen
class Sent:
    """What goes out: status, headers, body, and whether half of it is all."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool = False


class Pipeline:
    """Takes a call through the layers."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._idempotency = Idempotency(state.world, state.switches)

    async def answer(self, call: Call, handler: Handler | None) -> Sent:
        """Answer a call.

        Raises:
            Cut: where a fault ends the connection.
        """
        plan = self._state.faults.begin(call.operation)
        if plan.take(Effect.HANG):
            await self._state.faults.hold()
        if plan.take(Effect.CUT):
            self._note(call)
            raise Cut
        reply, headers = await self._through(call, handler, plan)
        if plan.take(Effect.HANG_ACTED):
            await self._state.faults.hold()
        if plan.take(Effect.LOSE_ANSWER):
            self._note(call, reply, cut=True)
            raise Cut
        self._note(call, reply)
        truncated = plan.take(Effect.TRUNCATE) is not None
        return Sent(reply.status, headers, reply.body, truncated)

    async def _through(
        self, call: Call, handler: Handler | None, plan: Plan
    ) -> tuple[Reply, dict[str, str]]:
        window = None
        self._state.agenda.run(self._state.world.now())
        try:
            identify(self._state, call)
            call.request_id = self._state.world.new_id("req")
            window = self._admitted(call)
            self._settle(call)
            reply = await self._outcome(call, handler, plan)
        except Problem as problem:
            reply = _refusal(problem)
        return reply, headers_of(self._state, call, reply, window)

    async def _outcome(self, call: Call, handler: Handler | None, plan: Plan) -> Reply:
        fault = plan.take(Effect.ANSWER)
        if fault is not None and fault.reply is not None:
            return fault.reply
        reply = await self._idempotency.run(
            call, lambda: self._act(call, handler, plan)
        )
        if reply.replayed and self._state.latency:
            await self._state.world.sleep(self._state.latency)
        return reply

    async def _act(self, call: Call, handler: Handler | None, plan: Plan) -> Reply:
        late = plan.take(Effect.DELAY)
        pause = self._state.latency + (late.seconds if late else 0.0)
        if pause:
            await self._state.world.sleep(pause)
        fault = plan.take(Effect.STORED_ANSWER)
        if fault is not None and fault.reply is not None:
            reply = fault.reply
        else:
            reply = self._handled(call, handler)
        now = self._state.world.now()
        return attrs.evolve(reply, request_id=call.request_id, at=now)

    def _handled(self, call: Call, handler: Handler | None) -> Reply:
        try:
            return (handler or nowhere)(self._state, call)
        except Problem as problem:
            return _refusal(problem)
        except Exception as crash:  # noqa: BLE001 - it is kept, and told as a 500
            self._state.log.crashes.append(crash)
            return _refusal(Problem(500, type(crash).__name__, title="Sandbox crash"))

    def _admitted(self, call: Call) -> Window:
        caller, switches = call.caller, self._state.switches
        windows = [caller.charged.window]
        if caller.key is not None:
            windows += _own_window(caller.key, switches.key_limit)
        now = self._state.world.now()
        free = not switches.replay_counts_against_limit
        if free and self._idempotency.would_replay(call):
            windows[0].roll(now)
            return windows[0]
        return admit(windows, now, switches)

    def _settle(self, call: Call) -> None:
        """Decide casing and version: the header's, else the credential's."""
        key = self._inherited(call)
        version = call.headers.get("Persona-Version")
        call.version = (
            checked_version(version)
            if version is not None
            else key.version
            if key
            else NEWEST
        )
        inflection = call.headers.get("Key-Inflection")
        call.inflection = (
            checked_inflection(inflection)
            if inflection is not None
            else key.inflection
            if key
            else "kebab"
        )

    def _inherited(self, call: Call) -> ApiKey | None:
        token = call.caller.token
        if token is None:
            return call.caller.key
        return {
            "nothing": None,
            "issuer": token.issuer_key,
            "holder": token.holder_key,
        }[self._state.switches.token_inherits]

    def _note(
        self, call: Call, reply: Reply | None = None, *, cut: bool = False
    ) -> None:
        entry = entry_of(self._state, call, reply)
        if cut:
            entry = attrs.evolve(entry, status=None)
        self._state.log.append(entry)


def _own_window(key: ApiKey, limit_of_all: int | None) -> list[Window]:
    limit = key.own_limit if key.own_limit is not None else limit_of_all
    key.window.limit = limit
    return [] if limit is None else [key.window]


def _refusal(problem: Problem) -> Reply:
    return Reply(problem.status, problem.body(), problem.headers)
