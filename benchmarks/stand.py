"""A token manager on a stand: no network, a service in memory, a clock of one's choice.

What is measured is the manager. The service mints what the code asks for, at once or
when it is told to, and counts the exchanges.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Self

import attrs

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share._protocol.http import Request, Response
from persona_share.errors import ConnectionLostError
from persona_share.model.policy import RenewalPolicy
from persona_share.ports import CredentialSource, Runtime, Store


LIFETIME = 3599
# As long as the tokens and the ids of the documentation's examples.
TOKEN = "persona_access_token_{:034}"  # noqa: S105 - a stand-in
ATOM = "inquiry.read:inq_{:024}"
# So high that the rate limit of exchanges holds nothing back.
LIMIT = 100_000


def one_scope(number: int) -> Scope:
    """Answer a scope of one atom, another one for each number."""
    return Scope((ATOM.format(number),))


@attrs.define
class Service:
    """Stands in for ``POST /oauth/token``."""

    runtime: Runtime
    exchanges: list[float] = attrs.field(factory=list)
    gate: asyncio.Event | None = None
    delay: float = 0.0
    broken: bool = False
    limit: int = LIMIT
    issued: int = 0

    async def send(self, request: Request) -> Response:
        """Answer a new token for the scope that the code names, or break the connection."""
        sent = self.runtime.clock.now()
        self.exchanges.append(sent)
        self.issued += 1
        number = self.issued
        if self.gate is not None:
            await self.gate.wait()
        if self.delay:
            await self.runtime.clock.sleep(self.delay)
        if self.broken:
            message = "the connection broke"
            raise ConnectionLostError(message)
        answer = {
            "access-token": TOKEN.format(number),
            "token-type": "bearer",
            "expires-in": LIFETIME,
            "scope": _scope_in(request),
        }
        return Response(
            status=201,
            headers={"ratelimit-limit": str(self.limit)},
            body=json.dumps(answer).encode(),
            first_sent_at=sent,
        )


def _scope_in(request: Request) -> str:
    form = (request.body or b"").decode()
    code = dict(pair.split("=") for pair in form.split("&"))["code"]
    return bytes.fromhex(code.partition(".")[2]).decode()


class ClientContext:
    """A client's context with the service on the stand behind it; it is never opened.

    It keeps what gives a session's requests their credential.
    """

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._account = PersonaClient("persona_sandbox_stand", _runtime=runtime).context
        # At hand as they are there: a detour would be measured, too.
        self.runtime = runtime
        self.timeout = self._account.timeout
        self.exchanger = service
        self.source: CredentialSource | None = None

    @property
    def context(self) -> Self:
        """Itself."""
        return self

    def sender_for(self, source: CredentialSource) -> Service:
        """Keep the source, and send to the service on the stand."""
        self.source = source
        return self.exchanger

    def require_open(self) -> None:
        """Do nothing: there is no connection to be open."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._account, name)


class Stand:
    """A manager with its service and its source of codes."""

    def __init__(
        self,
        runtime: Runtime,
        policy: RenewalPolicy | None = None,
        store: Store | None = None,
    ) -> None:
        self.runtime = runtime
        self.service = Service(runtime)
        self.context = ClientContext(runtime, self.service)
        self.codes = 0
        self.manager = ScopedTokenManager(
            self.context, codes=self._code, store=store, renewal=policy
        )

    async def _code(self, scope: Scope) -> str:
        self.codes += 1
        return f"code{self.codes}.{str(scope).encode().hex()}"

    def source_of(self, scope: Scope) -> CredentialSource:
        """Answer what a session's requests ask for their credential."""
        self.manager.session(scope)
        assert self.context.source is not None
        return self.context.source


async def settle(turns: int = 30) -> None:
    """Let everything run that can run without time passing."""
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no time


async def until(reached: Callable[[], bool]) -> None:
    """Give the others their turns until this is so."""
    while not reached():  # noqa: ASYNC110 - an event would have to be set by what is measured
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no time
