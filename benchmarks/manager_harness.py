"""A token manager with an in-memory service and a clock of your choice, without a network.

Only the manager is measured. The service issues a token for each code, at once or when a
benchmark allows it, and counts the exchanges.
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
    """Return a scope of one atom; each number has its own."""
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
        """Return a new token for the scope of the code, or break the connection."""
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
        response = {
            "access-token": TOKEN.format(number),
            "token-type": "bearer",
            "expires-in": LIFETIME,
            "scope": _scope_in(request),
        }
        return Response(
            status=201,
            headers={"ratelimit-limit": str(self.limit)},
            body=json.dumps(response).encode(),
            first_sent_at=sent,
        )


def _scope_in(request: Request) -> str:
    form = (request.body or b"").decode()
    code = dict(pair.split("=") for pair in form.split("&"))["code"]
    return bytes.fromhex(code.partition(".")[2]).decode()


class ClientContext:
    """A client context whose requests go to the in-memory service; it is never opened.

    It keeps the credential source of a session.
    """

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._account = PersonaClient("persona_sandbox_stand", _runtime=runtime).context
        # Attributes of its own: `__getattr__` would be measured as well.
        self.runtime = runtime
        self.timeout = self._account.timeout
        self.exchanger = service
        self.source: CredentialSource | None = None

    @property
    def context(self) -> Self:
        """Itself."""
        return self

    def sender_for(self, source: CredentialSource) -> Service:
        """Keep the source, and send to the in-memory service."""
        self.source = source
        return self.exchanger

    def require_open(self) -> None:
        """Do nothing: there is no connection to be open."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._account, name)


class ManagerHarness:
    """A manager with its service and code source."""

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
        """Return the credential source of a session."""
        self.manager.session(scope)
        assert self.context.source is not None
        return self.context.source


async def settle(iterations: int = 30) -> None:
    """Run tasks until all of them wait for time to pass."""
    for _ in range(iterations):
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no time


async def wait_until(reached: Callable[[], bool]) -> None:
    """Run other tasks until the condition is true."""
    while not reached():  # noqa: ASYNC110 - an event would have to be set by what is measured
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no time
