"""The token manager: owns the life of every scoped token of one client."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from threading import get_ident
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NoReturn,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from persona_share._compose import require_loop
from persona_share._pipeline.observed import EventEmitter
from persona_share._policy.lifetime import Standing
from persona_share._tokens.bearer import TokenBearer
from persona_share._tokens.broker import Broker
from persona_share._tokens.entries import Entry
from persona_share._tokens.lending import TokenLender
from persona_share._tokens.renewal import Renewal
from persona_share.errors import (
    InvalidArgumentError,
    InvalidScopeError,
    ManagerClosedError,
    NotOpenError,
    UsageError,
    WrongEventLoopError,
)
from persona_share.model.metrics import TokenMetrics
from persona_share.model.policy import (
    OBJECTS_PER_TOKEN,
    RenewalPolicy,
)
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AccessToken, AuthorizationCode
from persona_share.ports import (
    ClientContext,
    CodeSource,
    HasClientContext,
    Hook,
    Lender,
    TokenStore,
)
from persona_share.resources.base import Caller
from persona_share.session import ScopedSession


if TYPE_CHECKING:
    from persona_share._compose_batch import ManagerCopyArguments
    from persona_share.batch import Batch
    from persona_share.batch.batch import FetchOptions, ManagerFetchArguments
    from persona_share.batch.copy import Copy
    from persona_share.batch.workers import Ids

R = TypeVar("R", bound=Resource)


class ScopedTokenManager:
    """Exchanges codes, holds the tokens, renews them, and hands out sessions.

    ``codes`` is asked for a code whenever a token has to be brought or renewed; without
    it only delivered codes are used (`exchange`). Managers that share a ``store`` share
    its tokens and codes: one of them exchanges, the others take what it brought. When the
    store is down each goes on alone, or, with ``on_store_failure="fail"``, raises
    `StoreUnavailableError` where a token has to be brought. A manager belongs to the event
    loop that entered it; nothing in it outlives `aclose()`.
    """

    def __init__(
        self,
        client: HasClientContext,
        *,
        codes: CodeSource | None = None,
        store: TokenStore | None = None,
        renewal: RenewalPolicy | None = None,
        on_store_failure: Literal["local", "fail"] = "local",
        hooks: Iterable[Hook] = (),
    ) -> None:
        self._context = client.context
        self._policy = renewal or RenewalPolicy()
        self._broker = Broker(
            self._context,
            codes,
            self._policy,
            EventEmitter(hooks),
            store=store,
            on_store_failure=on_store_failure,
        )
        self._renewal = Renewal(self._broker)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._closed = False
        self._now = self._context.runtime.clock.now
        self._named = self._broker.vault.entries.named
        # What serves a text that names no granted scope to the letter.
        self._found: dict[str, Entry] = {}
        self._forked = False
        self._context.runtime.after_fork(self._after_fork)

    @property
    def context(self) -> ClientContext:
        """The client that this manager was created with, as integrations use it."""
        return self._context

    def session(self, scope: Scope | str) -> ScopedSession:
        """Answer a session for this scope; there is no I/O in this.

        Raises `InvalidScopeError` for a scope that cannot be read or is empty.
        """
        asked = _asked(scope)
        return ScopedSession(
            asked, self._caller(asked), self.session, self._describe, self._fetching
        )

    @overload
    def fetch(
        self, ids: "Ids", **options: "Unpack[ManagerFetchArguments]"
    ) -> "Batch[Resource]": ...
    @overload
    def fetch(
        self, ids: "Ids", kind: type[R], **options: "Unpack[ManagerFetchArguments]"
    ) -> "Batch[R]": ...
    def fetch(
        self,
        ids: "Ids",
        kind: type[Resource] = Resource,
        **options: "Unpack[ManagerFetchArguments]",
    ) -> "Batch[Any]":
        """Fetch any number of objects, with a token for every group of them.

        ``kind`` is the class of the objects, if it is known. ``permission`` is
        requested if the prefixes of the ids do not show it; ``objects_per_token`` is
        the size of a group. The other options are those of `ScopedSession.fetch`. A
        group that the partner refuses is divided until the objects at fault are found.
        Raises `InvalidArgumentError`.
        """
        from persona_share._compose_batch import BatchComposer  # noqa: PLC0415  # few need it
        from persona_share.batch.batch import FetchOptions  # noqa: PLC0415  # few need it

        given: dict[str, Any] = {**options}
        permission = given.pop("permission", None)
        objects_per_token = given.pop("objects_per_token", OBJECTS_PER_TOKEN)
        wanted = FetchOptions(ids=ids, kind=kind, **given)
        return BatchComposer(self._context, wanted, self._minted).scoped(
            self._caller,
            self.token,
            self.forget,
            lambda scope: self.peek(scope) is not None,
            permission=permission,
            objects_per_token=objects_per_token,
            free=self._broker.codes.sourceless,
        )

    def copy(self, ids: "Ids", **options: "Unpack[ManagerCopyArguments]") -> "Copy":
        """Copy whole people: inquiries with their related objects and files.

        ``into`` is the folder in which every person gets a folder; a person is
        acknowledged when all of it is on the disk, and the next run continues.
        ``follow`` names the relationships whose objects are copied. ``files`` and
        ``pdf`` say whether files and PDFs are saved, which needs a folder. ``refresh``
        copies again what has changed. The other options are those of `fetch`. Raises
        `InvalidArgumentError`.
        """
        from persona_share._compose_batch import compose_copy  # noqa: PLC0415  # few need it

        return compose_copy(
            self.fetch,
            self._context,
            lambda scope: self.session(scope or Scope()),
            ids,
            **options,
        )

    def lender(self, scope: Scope | str) -> Lender:
        """Answer what lends this scope's token to other clients; there is no I/O in this.

        `persona_share.integrations` has the parts that fit it into aiohttp and httpx.
        """
        return TokenLender(
            _asked(scope), self._broker, self._context, self._require_open
        )

    async def token(
        self,
        scope: Scope | str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # a deadline that every waiter has for itself
    ) -> AccessToken:
        """Answer the current token of a scope, exchanging a code if there is none.

        ``timeout`` is in seconds. Raises a `TokenError`, or `DeadlineExceededError`
        (a `TimeoutError`) when none came in time; a token that is held is never
        withheld because its renewal failed.
        """
        text = scope.text if type(scope) is Scope else str(scope)
        loop = self._loop
        # Our loop, running in this thread, is the running loop; to ask for that one
        # costs a system call (it compares process ids).
        if loop is not None and self._thread == get_ident() and loop.is_running():
            entry = self._named(text) or self._found.get(text)
            if entry is not None and (now := self._now()) < entry.refresh_at:
                entry.last_used = now
                return entry.token
            self._context.require_open()
        else:
            self._require_open()
        seconds = self._context.timeout if timeout is None else timeout
        entry = await self._broker.obtain(_asked(scope), self._now() + seconds)
        if text != entry.token.scope.text:
            if len(self._found) > self._policy.most_tokens:
                self._found.clear()
            self._found[text] = entry
        return entry.token

    async def exchange(
        self,
        code: str | Secret,
        *,
        scope: Scope | str | None = None,
        expires_at: datetime | None = None,
    ) -> Scope:
        """Exchange a delivered code now, keep its token, and answer what it granted.

        ``scope`` is what the code is expected to grant and ``expires_at`` when it
        ends, where they are known. Raises `CodeRejectedError`, `ScopeNotGrantedError`
        and any other `TokenError`. Source: POST /oauth/token; RFC 6749 §4.1.3.
        """
        self._require_open()
        ticket = self._broker.codes.ticket(
            code,
            _hint_of(code, scope),
            expires_at or getattr(code, "expires_at", None),
            at_once=True,
        )
        deadline = self._context.runtime.clock.now() + self._context.timeout
        return await self._broker.exchange(ticket, deadline)

    def offer(
        self,
        code: str | Secret,
        scope: Scope | str | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> None:
        """Put a delivered code by; it is exchanged when it serves best.

        That is at once when somebody waits for its scope or a token in use is due,
        else at its last safe moment if that adds cover; a code that nobody needs ends
        unused. A code that is known already is ignored. Raises `InvalidArgumentError`
        for what cannot be a code, and when too many wait (8 a scope, 1,024 in all).
        """
        self._require_open()
        ticket = self._broker.codes.ticket(
            code, _hint_of(code, scope), expires_at or getattr(code, "expires_at", None)
        )
        at = self._broker.offer(ticket)
        if at is not None:
            self._renewal.watch_code(ticket, at)

    def peek(self, scope: Scope | str) -> AccessToken | None:
        """Answer the usable token that is held for this scope, without waiting."""
        self._require_open()
        entry = self._broker.vault.held(_asked(scope))
        return None if entry is None else entry.token

    def metrics(self) -> TokenMetrics:
        """Answer what was done so far and what is held now, without any secret."""
        return self._broker.metrics()

    async def warm(self, *scopes: Scope | str) -> None:
        """Bring the tokens of these scopes now and keep them ready until forgotten.

        Raises the first `TokenError`, after all of them have ended.
        """
        self._require_open()
        results = await asyncio.gather(
            *(self.token(scope) for scope in scopes), return_exceptions=True
        )
        for scope in scopes:
            entry = self._broker.vault.held(_asked(scope))
            if entry is not None:
                entry.pinned = True
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def forget(self, scope: Scope | str) -> None:
        """Drop the token and the waiting codes of exactly this scope."""
        self._require_open()
        dropped = _asked(scope)
        for key, entry in tuple(self._found.items()):
            if entry.token.scope == dropped:
                del self._found[key]
        await self._broker.forget(dropped)

    def invalidate(self, token: AccessToken) -> None:
        """Complain about exactly this token: it is never used again, a newer one is."""
        given: object = token
        if not isinstance(given, AccessToken):
            message = "invalidate() takes the AccessToken that token() answered"
            raise InvalidArgumentError(message)
        self._require_open()
        self._broker.vault.revoke(given)

    def tokens(self) -> tuple[AccessToken, ...]:
        """Answer every token that is held and usable, each masked."""
        now = self._context.runtime.clock.now()
        return tuple(
            entry.token
            for entry in self._broker.vault.entries
            if entry.standing(now, self._policy) is not Standing.EXPIRED
        )

    async def aclose(self) -> None:
        """Let exchanges that were sent end (5 s at most), drop all tokens; twice is fine."""
        if self._closed:
            return
        if self._loop is not None:
            require_loop(self._loop, "the manager")
        self._closed = True
        self._loop = None
        self._found.clear()
        if self._forked:
            return
        try:
            await self._broker.close()
        finally:
            await self._renewal.stop()

    async def __aenter__(self) -> Self:
        if self._loop is not None or self._closed or self._forked:
            self._require_open()
            message = "the manager was entered already"
            raise UsageError(message)
        self._context.require_open()
        if self._broker.fleet is not None:
            await self._broker.fleet.open()
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._renewal.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "open" if self._loop and not self._closed else "not entered"
        shown = "closed" if self._closed else state
        return f"<ScopedTokenManager {shown}, {len(self._broker.vault.entries)} tokens>"

    def _caller(self, scope: Scope) -> Caller:
        context = self._context
        return Caller(
            sender=context.sender_for(
                TokenBearer(scope, self._broker, context.runtime)
            ),
            runtime=context.runtime,
            headers=context.headers,
            base_url=context.origin,
            file_access=context.file_access,
            timeout=context.timeout,
            require_open=self._require_open,
            scope=scope,
        )

    def _fetching(self, caller: Caller, options: "FetchOptions") -> "Batch[Any]":
        from persona_share._compose_batch import BatchComposer  # noqa: PLC0415  # few need it

        return BatchComposer(self._context, options, self._minted).direct(caller)

    def _minted(self) -> int:
        return self._broker.metrics().minted

    def _describe(self, scope: Scope) -> str:
        entry = self._broker.vault.held(scope)
        if entry is None:
            return "no token"
        now = self._context.runtime.clock.now()
        state = entry.standing(now, self._policy).value
        return f"{state}, {entry.token.ends - now:.0f} s left"

    def _after_fork(self) -> None:
        """Drop what the parent still has; tokens stay, but nobody may use them here."""
        self._forked = True
        self._loop = None
        self._found.clear()
        self._broker.after_fork()

    def __reduce__(self) -> NoReturn:
        message = "a manager is never pickled: each process makes its own"
        raise TypeError(message)

    def _require_open(self) -> None:
        if self._forked:
            message = "the manager was entered before a fork"
            raise WrongEventLoopError(message)
        if self._closed:
            message = "the manager was closed"
            raise ManagerClosedError(message)
        if self._loop is None:
            message = "the manager was not entered"
            raise NotOpenError(message)
        require_loop(self._loop, "the manager")
        self._context.require_open()


def _hint_of(code: object, scope: Scope | str | None) -> Scope | None:
    """Answer what a code is expected to grant: what we are told, or what it says."""
    if scope is not None:
        return _asked(scope)
    return code.scope if isinstance(code, AuthorizationCode) else None


def _asked(scope: Scope | str) -> Scope:
    asked = Scope.parse(scope)
    if not asked.text:
        message = "the scope is empty"
        raise InvalidScopeError(message)
    return asked
