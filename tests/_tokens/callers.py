"""Those who use a manager: what each of them gets goes before the watch."""

import attrs

from persona_share import ScopedTokenManager
from persona_share._protocol.http import Request
from persona_share._tokens.bearer import TokenBearer
from persona_share.errors import InvalidArgumentError, PersonaError
from tests._tokens.roads import ClientContext, code_for


@attrs.define
class Callers:
    """The callers of one manager, each verb a coroutine of one of them."""

    manager: ScopedTokenManager
    context: ClientContext
    bearers: dict = attrs.field(factory=dict)
    seen: list = attrs.field(factory=list)

    @property
    def _watch(self):
        return self.context.watch

    def _deadline(self, seconds):
        return self._watch.clock.now() + seconds

    async def get(self, scope, seconds):
        """Ask for a token; nobody waits for one that is at hand (10)."""
        serving = self._watch.held.serving(scope)
        if serving is not None and self._watch.held.comes_at_once(serving):
            self._get_at_once(scope)
            return
        deadline = self._deadline(seconds)
        try:
            token = await self.manager.token(scope, timeout=seconds)
        except PersonaError as error:
            self._watch.failed(scope, error, deadline)
        else:
            self._receive(scope, token)

    def _get_at_once(self, scope):
        coroutine = self.manager.token(scope)
        try:
            coroutine.send(None)
        except StopIteration as end:
            self._receive(scope, end.value)
        else:
            coroutine.close()
            self._watch.require(10, holds=False, what="a caller waits without a need")

    def _receive(self, scope, token):
        self._watch.got(scope, token)
        if all(token is not each for each in self.seen):
            self.seen.append(token)

    async def call(self, scope):
        """Use a token; the API may answer 401."""
        deadline = self._deadline(self.context.timeout)
        request = Request(
            method="GET", route="/x", target=str(scope), deadline=deadline
        )
        try:
            await self.context.sender_for(self._bearer(scope)).send(request)
        except PersonaError as error:
            self._watch.failed(scope, error, deadline)

    def _bearer(self, scope):
        """Answer what a session of this scope takes its tokens from."""
        if scope not in self.bearers:
            broker = self.manager._broker
            self.bearers[scope] = TokenBearer(scope, broker, self.context.runtime)
        return self.bearers[scope]

    async def warm(self, scope):
        """Ask for a token that is kept ready."""
        deadline = self._deadline(self.context.timeout)
        self._watch.pinned.add(scope)
        try:
            await self.manager.warm(scope)
        except PersonaError as error:
            # It tells a moment later than a caller of its own would have heard.
            self._watch.unhappy(error, deadline)

    async def exchange(self, text, hint):
        """Deliver a code that is to be exchanged at once."""
        deadline = self._deadline(self.context.timeout)
        self._watch.sendings.received(text, hint, None, demanded=True)
        try:
            await self.manager.exchange(text, scope=hint)
        except InvalidArgumentError:
            self._check_refusal()
        except PersonaError as error:
            self._watch.unhappy(error, deadline)

    async def offer(self, text, hint, *, told):
        """Push a code into the pool; answer whether there was room for it."""
        sendings, endpoint = self._watch.sendings, self._watch.endpoint
        new, life = text not in sendings.codes, endpoint.code_life if told else None
        sendings.received(text, hint, life)
        try:
            self.manager.offer(code_for(endpoint, text, life) if told else text, hint)
        except InvalidArgumentError:
            self._check_refusal()
            if new:
                del sendings.codes[text]
            return False
        return True

    def _check_refusal(self):
        full, policy = len(self.manager._broker.codes.pool), self._watch.policy
        least = min(policy.most_codes_a_scope, policy.most_codes)
        self._watch.require(21, full >= least, "a code is refused without a reason")

    async def invalidate(self, token):
        """Complain about a token, current or old."""
        watch = self._watch
        held = watch.held.value(token.reveal())
        current = held is not None and watch.held.usable(held)
        watch.complaining = True
        self.manager.invalidate(token)
        watch.complaining = False
        buried = not current or token.reveal() in watch.dead
        watch.require(13, buried, "a complaint was not heard")

    async def forget(self, scope):
        """Let the manager forget a scope."""
        self._watch.forgotten(scope)
        await self.manager.forget(scope)
