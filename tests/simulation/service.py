"""A model of ``POST /oauth/token`` that knows what really happened.

It follows the documented rules of idempotency: the first result of a key is stored and
repeated, 500 included; a code works once.
"""

import json
from urllib.parse import parse_qs

import attrs

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import ConnectionLostError


LIFETIME = 3_599.0
CODE_LIFE = 600.0


@attrs.define
class Code:
    """One code: its scope, its expiry, its token, and which manager sent it when.

    ``first_sent`` holds the first send of each manager under each key, and ``issued``
    the key that the token was issued for.
    """

    scope: str
    ends: float
    token: str | None = None
    issued: str = ""
    keys: list = attrs.field(factory=list)
    refused: bool = False
    first_sent: dict = attrs.field(factory=dict)


class Service:
    """The service: codes, tokens and stored results, with random faults."""

    def __init__(self, clock, rng):
        self.clock = clock
        self.rng = rng
        self.faulty = True
        self.codes = {}
        self.ends = {}
        self.stored = {}
        self.broken = []

    def new_code(self, scope):
        name = f"code-{len(self.codes) + 1}"
        self.codes[name] = Code(str(scope), self.clock.now() + CODE_LIFE)
        return name

    async def send(self, request, number):
        """Respond to a manager as the service would, or lose the request or its response."""
        clock, rng = self.clock, self.rng
        name = parse_qs(request.body.decode())["code"][0]
        key, code = request.idempotency_key.reveal(), self.codes[name]
        code.first_sent.setdefault((key, number), clock.now())
        if key not in code.keys:
            code.keys.append(key)
        if len(code.keys) > 2:
            self.broken.append(f"{name} was sent under {len(code.keys)} keys")
        await clock.sleep(rng.choice([0.0, 0.1, 3.0]))
        fault = rng.random() if self.faulty else 1.0
        if fault < 0.05:
            await self._lost(request)
        if fault < 0.08:
            return Response(status=503, body=b"")
        response = self._result(key, name, code, stored_500=fault < 0.10)
        if 0.10 < fault < 0.18:
            await self._lost(request)
        return response

    async def _lost(self, request):
        await self.clock.sleep(max(0.0, request.deadline - self.clock.now()))
        message = "no response"
        raise ConnectionLostError(message)

    def _result(self, key, name, code, *, stored_500):
        if key in self.stored:
            return self.stored[key]
        now = self.clock.now()
        if stored_500:
            response = Response(status=500, body=b"")
        elif code.token is not None or now >= code.ends:
            code.refused = True
            response = Response(status=400, body=b"{}")
        else:
            code.token, code.issued = f"token.{name}", key
            self.ends[code.token] = now + LIFETIME
            body = {
                "access-token": code.token,
                "token-type": "bearer",
                "expires-in": int(LIFETIME),
                "scope": str(Scope.from_text(code.scope)),
            }
            response = Response(status=201, body=json.dumps(body).encode())
        self.stored[key] = response
        return response
