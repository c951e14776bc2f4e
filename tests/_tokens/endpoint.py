"""A model of ``POST /oauth/token`` that knows what really happened.

It follows the documented rules of idempotency: the limiter and the check of the API key
stand before the layer; the first result of a key is stored whatever it is, 500 included,
and comes back for a day; the same key with another form is an error; a code works once.
What travels can be lost on both ways, and a request that its sender gave up may arrive
all the same.
"""

import enum
import itertools
import json
from collections import deque
from urllib.parse import parse_qs

import attrs

from persona_share import Scope
from persona_share._protocol.http import Response


#: Every secret of these tests holds this word, and nothing else does.
CANARY = "canary"
RETENTION = 86_400.0


class Fault(enum.Enum):
    """What befalls one request to the token endpoint."""

    NONE = enum.auto()
    UNREACHABLE = enum.auto()
    LOST_BEFORE = enum.auto()
    LOST_AFTER = enum.auto()
    FAILED_BEFORE_LAYER = enum.auto()
    FAILED_STORED = enum.auto()
    FAILED_AFTER_MINTING = enum.auto()
    UNAVAILABLE = enum.auto()
    GATEWAY_TIMEOUT_AFTER = enum.auto()
    LIMITED = enum.auto()
    UNAUTHORIZED = enum.auto()
    FORBIDDEN = enum.auto()
    FORBIDDEN_STORED = enum.auto()
    REFUSED = enum.auto()
    CONFLICT = enum.auto()
    JUNK = enum.auto()


#: Answers that are given before the idempotency layer, and never stored.
BEFORE_THE_LAYER = {
    Fault.LIMITED: 429,
    Fault.UNAUTHORIZED: 401,
    Fault.FORBIDDEN: 403,
    Fault.UNAVAILABLE: 503,
    Fault.FAILED_BEFORE_LAYER: 500,
    Fault.CONFLICT: 409,
}
#: Answers that are stored in place of what the code would have brought.
STORED = {Fault.FAILED_STORED: 500, Fault.FORBIDDEN_STORED: 403, Fault.REFUSED: 422}


@attrs.frozen
class Plan:
    """What happens to one request, and how long it travels to and fro."""

    fault: Fault = Fault.NONE
    before: float = 0.0
    after: float = 0.0
    reset: int = 2


@attrs.define
class IssuedCode:
    """One authorization code: what it grants, and what became of it."""

    text: str
    scope: Scope
    ends: float
    spent: bool = False


@attrs.define
class TrueToken:
    """One token as the service knows it."""

    value: str
    code: str
    scope: Scope
    api_key: str
    ends: float
    lifetime: int
    revoked: bool = False


@attrs.frozen
class _Stored:
    form: bytes
    response: Response
    at: float


class Endpoint:
    """The service: codes, tokens, the idempotency layer, and a plan of faults."""

    def __init__(
        self, clock, *, lifetime=3599, limit=None, kills_older=False, code_life=599.0
    ):
        self.clock = clock
        self.lifetime = lifetime
        self.limit = limit
        self.kills_older = kills_older
        self.code_life = code_life
        self.plans = deque()
        self.weather = Plan()
        self.codes = {}
        self.tokens = {}
        self._stored = {}
        self._late = []
        self._order = itertools.count()
        self._issued = itertools.count(1)

    # ── What tests do to it ─────────────────────────────────────────────────────

    def issue(self, scope, life=None):
        """Make a code; it lives a second longer than is told, as Persona's do."""
        text = f"{CANARY}-code-{next(self._issued)}"
        life = self.code_life if life is None else life
        self.codes[text] = IssuedCode(text, scope, self.clock.now() + life + 1)
        return text

    def revoke(self, value):
        """Let a token end early, as the service may."""
        self.tokens[value].revoked = True

    def next_plan(self):
        """Answer what befalls the next request."""
        return self.plans.popleft() if self.plans else self.weather

    def honours(self, value):
        """Answer whether a call with this token is let in now."""
        token = self.tokens.get(value)
        return token is not None and not token.revoked and self.clock.now() < token.ends

    # ── What it does ────────────────────────────────────────────────────────────

    def overlook(self, request, api_key, plan, at):
        """Let a request arrive later, whose sender waits for it no more."""
        self._late.append((at, next(self._order), request, api_key, plan))

    def catch_up(self):
        """Serve what arrived meanwhile, in the order of its arrival."""
        now = self.clock.now()
        arrived = sorted(item for item in self._late if item[0] <= now)
        self._late = [item for item in self._late if item[0] > now]
        for at, _, request, api_key, plan in arrived:
            self.serve(request, api_key, plan, at)

    def serve(self, request, api_key, plan, at):
        """Answer one request that arrived at this instant."""
        status = BEFORE_THE_LAYER.get(plan.fault)
        if status is not None:
            extra = {"ratelimit-reset": str(plan.reset)} if status == 429 else {}
            return self._response(status, extra=extra)
        key = (api_key, request.idempotency_key.reveal())
        stored = self._stored.get(key)
        if stored is None or at - stored.at >= RETENTION:
            response = self._result(request, api_key, plan, at)
            self._stored[key] = _Stored(request.body, response, at)
            return response
        if stored.form != request.body:
            return self._response(400, {"errors": [{"title": "Idempotency Error"}]})
        return stored.response

    def _result(self, request, api_key, plan, at):
        if (status := STORED.get(plan.fault)) is not None:
            return self._response(status, {"errors": [{"title": "Planned"}]})
        code = self.codes.get(code_of(request))
        if code is None or code.spent or at >= code.ends:
            return self._response(404, {"errors": [{"title": "Code not found"}]})
        code.spent = True
        token = self._minted(code, api_key, at)
        if plan.fault is Fault.FAILED_AFTER_MINTING:
            return self._response(500)
        if plan.fault is Fault.JUNK:
            return Response(status=201, body=b'{"access-token": ')
        answer = {
            "access-token": token.value,
            "token-type": "bearer",
            "expires-in": self.lifetime,
            "scope": str(token.scope),
        }
        return self._response(201, answer)

    def _minted(self, code, api_key, at):
        if self.kills_older:
            for token in self.tokens.values():
                token.revoked |= token.scope == code.scope and token.api_key == api_key
        value = f"{CANARY}.token.{len(self.tokens) + 1}"
        lifetime = self.lifetime
        token = TrueToken(
            value, code.text, code.scope, api_key, at + lifetime, lifetime
        )
        self.tokens[value] = token
        return token

    def _response(self, status, content=None, extra=()):
        headers = dict(extra)
        if self.limit is not None:
            headers["ratelimit-limit"] = str(self.limit)
        body = b"" if content is None else json.dumps(content).encode()
        return Response(status=status, headers=headers, body=body)


def code_of(request):
    """Answer the code that a request to the token endpoint carries."""
    return parse_qs(request.body.decode())["code"][0]
