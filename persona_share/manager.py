"""The token manager: owns the life of every scoped token of one client."""

import asyncio
import inspect
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NoReturn,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from persona_share._compose import require_loop
from persona_share._pipeline.observed import EventEmitter
from persona_share._policy.token_lifetime import TokenState
from persona_share._tokens.cache import BoundedDict
from persona_share._tokens.credential import ScopedCredential
from persona_share._tokens.provider import TokenProvider
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidScopeError,
    ManagerClosedError,
    NotOpenError,
    UsageError,
    WrongEventLoopError,
)
from persona_share.model.events import TokenMetrics
from persona_share.model.policy import (
    OBJECTS_PER_TOKEN,
    RenewalPolicy,
    is_number,
)
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AccessToken, AuthorizationCode
from persona_share.options import checked_hooks
from persona_share.ports import ClientContext, CodeSource, HasClientContext, Hook, Store
from persona_share.resources.base import Caller
from persona_share.session import ScopedSession
from persona_share.stores.access import guarded, require_store


if TYPE_CHECKING:
    from persona_share._compose_batch import ManagerCopyArguments
    from persona_share.batch import Batch
    from persona_share.batch.batch import FetchOptions, ManagerFetchArguments
    from persona_share.batch.copy import Copy
    from persona_share.batch.workers import Ids

R = TypeVar("R", bound=Resource)

#: So many spellings of scopes are remembered beside their canonical form.
_MAX_SPELLINGS: Final = 10_000


class ScopedTokenManager:
    """Exchanges codes, caches tokens, refreshes them, and creates sessions.

    ``codes`` is asked for a code whenever a token has to be acquired or refreshed; without
    it only delivered codes are used (`exchange`, `offer`). Managers that share a
    ``store`` share tokens and codes: one of them exchanges, the others adopt its token.
    While the store is down, each manager continues alone, or, with ``on_store_failure="fail"``,
    raises `StoreUnavailableError` where a token has to be acquired. A manager belongs to
    the event loop that entered it; nothing in it outlives `aclose()`.

    Raises `ConfigurationError` for arguments that cannot be used.
    """

    def __init__(
        self,
        client: HasClientContext,
        *,
        codes: CodeSource | None = None,
        store: Store | None = None,
        renewal: RenewalPolicy | None = None,
        on_store_failure: Literal["local", "fail"] = "local",
        hooks: Iterable[Hook] = (),
    ) -> None:
        _require_usable(client, codes, store, on_store_failure)
        self._context = client.context
        self._policy = renewal or RenewalPolicy()
        runtime = self._context.runtime
        self._provider = TokenProvider(
            self._context,
            codes,
            self._policy,
            EventEmitter(checked_hooks(hooks)),
            store=None if store is None else guarded(store, runtime),
            on_store_failure=on_store_failure,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._entering = False
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._now = runtime.clock.now
        self._cached = self._provider.cache.get
        # The canonical form of scopes that were given otherwise.
        self._spellings = BoundedDict[str, Scope](_MAX_SPELLINGS)
        self._forked = False
        runtime.after_fork(self._after_fork)

    @property
    def context(self) -> ClientContext:
        """The client that this manager was created with, as integrations use it."""
        return self._context

    def session(self, scope: Scope | str) -> ScopedSession:
        """Return a session for exactly this scope; there is no I/O in this.

        Raises `InvalidScopeError` for a scope that cannot be read or is empty.
        """
        asked = _checked(scope)
        return self._session(asked)

    def covering(self, part: Scope | str) -> ScopedSession | None:
        """Return a narrowed session of a held token that covers this part, or None.

        It is the one way to use a wider token than the scope that is named; see
        `ScopedSession.narrow` for what such a session refuses.
        """
        self._require_open()
        asked = _checked(part)
        entry = self._provider.cache.covering(asked)
        if entry is None:
            return None
        return self._session(entry.scope).narrow(asked)

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
        """Fetch any number of objects, with one token for each group of them.

        ``kind`` is the class of the objects, if it is known. ``permission`` is
        requested if the prefixes of the ids do not show it; ``objects_per_token`` is
        the size of a group. The other options are those of `ScopedSession.fetch`. A
        group that the partner refuses is divided until the objects at fault are found.
        Without a code source, each object is fetched under a held token that covers
        it. Raises `InvalidArgumentError`.
        """
        from persona_share._compose_batch import BatchComposer  # noqa: PLC0415  # few need it
        from persona_share.batch.batch import FetchOptions  # noqa: PLC0415  # few need it

        given: dict[str, Any] = {**options}
        permission = given.pop("permission", None)
        objects_per_token = given.pop("objects_per_token", OBJECTS_PER_TOKEN)
        wanted = FetchOptions(ids=ids, kind=kind, **given)
        pulled = self._provider.has_source
        return BatchComposer(self._context, wanted, self._tokens_issued).scoped(
            self._caller if pulled else self._covering_caller,
            self.token if pulled else self._covering_token,
            self.forget,
            (lambda scope: self.peek(scope) is not None)
            if pulled
            else lambda scope: self._provider.cache.covering(scope) is not None,
            permission=permission,
            objects_per_token=objects_per_token,
            has_source=pulled,
        )

    def copy(self, ids: "Ids", **options: "Unpack[ManagerCopyArguments]") -> "Copy":
        """Copy whole people: inquiries with their related objects and files.

        ``into`` is the folder in which every person gets a folder; a person is
        acknowledged when all of it is on the disk, and the next run continues.
        ``follow`` names the relationships whose objects are copied. ``files`` and
        ``pdf`` say whether files and PDFs are saved, which needs a folder. ``refresh``
        retrieves the people of an earlier copy as well, and copies those again that
        have changed; tokens are refreshed either way. The other options are those of
        `fetch`. Raises `InvalidArgumentError`.
        """
        from persona_share._compose_batch import compose_copy  # noqa: PLC0415  # few need it

        return compose_copy(
            self.fetch,
            self._context,
            lambda scope: self.session(scope or Scope()),
            ids,
            **options,
        )

    def credential(self, scope: Scope | str) -> ScopedCredential:
        """Return the credential of a scope for other clients; there is no I/O in this.

        `persona_share.integrations` has the parts that fit it into aiohttp and httpx.
        """
        return ScopedCredential(_checked(scope), self._provider, self._require_open)

    async def token(
        self,
        scope: Scope | str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # each waiter has its own deadline
    ) -> AccessToken:
        """Return the current token of a scope, exchanging a code if there is none.

        ``timeout`` is in seconds. Raises a `TokenError`, or `DeadlineExceededError`
        (a `TimeoutError`) if none came in time; a token that is held is never withheld
        because its refresh failed.
        """
        text = scope.text if type(scope) is Scope else scope
        text = text if type(text) is str else ""  # anything else is checked below
        loop = self._loop
        # Our loop, running in this thread, is the running loop; to ask for that one
        # costs a system call (it compares process ids).
        if loop is not None and self._thread == get_ident() and loop.is_running():
            entry = self._cached(text)
            if entry is not None and (now := self._now()) < entry.refresh_at:
                entry.last_used = now
                return entry.token
            self._context.require_open()
        else:
            self._require_open()
        seconds = self._context.timeout if timeout is None else timeout
        if timeout is not None and not is_number(timeout):
            message = "timeout must be a number of seconds"
            raise InvalidArgumentError(message)
        entry = await self._provider.get(self._canonical(scope), self._now() + seconds)
        return entry.token

    async def exchange(
        self,
        code: str | Secret,
        *,
        scope: Scope | str | None = None,
        expires_at: datetime | None = None,
    ) -> Scope:
        """Exchange a delivered code now, keep its token, and return what it granted.

        ``scope`` is what the code is expected to grant and ``expires_at`` when it
        expires, where they are known. A code that is delivered twice returns the same
        scope twice. Raises `CodeRejectedError`, `ScopeNotGrantedError` and any other
        `TokenError`. Source: POST /oauth/token; RFC 6749 §4.1.3.
        """
        if isinstance(code, str):
            code = Secret(code)  # an error report may show locals
        self._require_open()
        expected = _expected_scope(code, scope)
        received = self._provider.received(code, expires_at)
        deadline = self._now() + self._context.timeout
        return await self._provider.exchange(received, expected, deadline)

    async def offer(
        self,
        code: str | Secret,
        scope: Scope | str | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> None:
        """Put a delivered code by; on return it is safe in the record of its scope.

        It is exchanged at once if a token in use is due, else at its last safe moment
        if that adds to the token's life; a code that is not needed expires unused. A
        known code is ignored. Raises `InvalidArgumentError` for anything that cannot be
        a code, for a code without a scope, and if eight codes wait for the scope.
        """
        if isinstance(code, str):
            code = Secret(code)  # an error report may show locals
        self._require_open()
        expected = _expected_scope(code, scope)
        if expected is None:
            message = "offer() needs the scope that the code was authorized for"
            raise InvalidArgumentError(message)
        received = self._provider.received(code, expires_at)
        await self._provider.complete(self._provider.offer(received, expected))

    def peek(self, scope: Scope | str) -> AccessToken | None:
        """Return the usable token that is held for exactly this scope, without waiting."""
        self._require_open()
        entry = self._provider.cache.usable(_checked(scope).text)
        return None if entry is None else entry.token

    def metrics(self) -> TokenMetrics:
        """Return what was done so far and what is held now, without any secret."""
        return self._provider.metrics()

    async def warm(self, *scopes: Scope | str) -> None:
        """Acquire the tokens of these scopes now and keep them ready until forgotten.

        Raises the first `TokenError`, after all of them have ended.
        """
        self._require_open()
        checked = [_checked(scope) for scope in scopes]
        results = await asyncio.gather(
            *(self.token(scope) for scope in checked), return_exceptions=True
        )
        for scope, result in zip(checked, results, strict=True):
            if not isinstance(result, BaseException):
                self._provider.pin(scope)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def forget(self, scope: Scope | str) -> None:
        """Drop the token and the waiting codes of exactly this scope."""
        self._require_open()
        await self._provider.complete(self._provider.forget(_checked(scope)))

    def invalidate(self, token: AccessToken) -> None:
        """Reject exactly this token: it is never used again, a newer one is untouched."""
        given: object = token
        if not isinstance(given, AccessToken):
            message = "invalidate() takes the AccessToken that token() returned"
            raise InvalidArgumentError(message)
        self._require_open()
        self._provider.invalidate(given)

    def tokens(self) -> tuple[AccessToken, ...]:
        """Return every token that is held and usable, each masked."""
        now = self._now()
        return tuple(
            entry.token
            for entry in self._provider.cache.values()
            if entry.state(now, self._policy) is not TokenState.EXPIRED
        )

    async def aclose(self) -> None:
        """Let exchanges that were sent end (5 s at most), drop all tokens; twice is fine."""
        if self._loop is not None:
            require_loop(self._loop, "the manager")
            # A separate task, which ends though its callers are cancelled.
            self._closing = asyncio.Task(self._provider.aclose())
        self._closed, self._loop = True, None
        self._spellings.clear()
        if self._closing is not None and not self._closing.done():
            require_loop(self._closing.get_loop(), "the manager")
            await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        if self._loop is not None or self._closed or self._forked:
            self._require_open()
        if self._loop is not None or self._entering:
            message = "the manager was entered already"
            raise UsageError(message)
        self._context.require_open()
        self._entering = True
        try:
            await self._provider.open()
        finally:
            self._entering = False
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        if self._closed:  # in the meantime
            await self.aclose()
            self._require_open()
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
        return f"<ScopedTokenManager {shown}, {len(self._provider.cache)} tokens>"

    def _session(self, scope: Scope) -> ScopedSession:
        describe = partial(self._describe, scope)
        return ScopedSession(scope, self._caller(scope), describe, self._fetching)

    def _caller(self, scope: Scope) -> Caller:
        context = self._context
        credential = ScopedCredential(scope, self._provider, self._require_open)
        return Caller(
            sender=context.sender_for(credential),
            runtime=context.runtime,
            headers=context.headers,
            base_url=context.origin,
            file_access=context.file_access,
            timeout=context.timeout,
            require_open=self._require_open,
            check_identity=context.check_identity,
            scope=scope,
            accept_broader=self._policy.accept_broader,
        )

    def _covering_caller(self, scope: Scope) -> Caller:
        """Return what calls under a held token that covers the scope, narrowed to it."""
        entry = self._provider.cache.covering(scope)
        held = scope if entry is None else entry.scope
        return self._caller(held).narrowed(scope)

    async def _covering_token(self, scope: Scope) -> AccessToken:
        """Return a held token that covers the scope, or acquire one of exactly it."""
        entry = self._provider.cache.covering(scope)
        return await self.token(scope if entry is None else entry.scope)

    def _fetching(self, caller: Caller, options: "FetchOptions") -> "Batch[Any]":
        from persona_share._compose_batch import BatchComposer  # noqa: PLC0415  # few need it

        return BatchComposer(self._context, options, self._tokens_issued).direct(caller)

    def _tokens_issued(self) -> int:
        return self._provider.metrics().issued

    def _describe(self, scope: Scope) -> str:
        entry = self._provider.cache.usable(scope.text)
        if entry is None:
            return "no token"
        now = self._now()
        state = entry.state(now, self._policy).value
        return f"{state}, {entry.token.ends - now:.0f} s left"

    def _canonical(self, scope: Scope | str) -> Scope:
        if type(scope) is Scope and scope.text:
            return scope
        if not isinstance(scope, str):
            return _checked(scope)
        known = self._spellings.get(scope)
        if known is None:
            known = self._spellings[scope] = _checked(scope)
        return known

    def _after_fork(self) -> None:
        """Drop what the parent still has; this manager cannot be used here."""
        self._forked = True
        self._loop = self._closing = None
        self._spellings.clear()
        self._provider.after_fork()

    def __reduce__(self) -> NoReturn:
        message = "a ScopedTokenManager cannot be pickled: it holds tokens"
        raise ConfigurationError(
            message, advice="Create one in each process, and share tokens with a store."
        )

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


def _require_usable(
    client: object, codes: object, store: object, on_store_failure: object
) -> None:
    """Raise `ConfigurationError` for arguments of the wrong kind."""
    if not hasattr(client, "context"):
        message = f"client must be a PersonaClient, not {type(client).__name__}"
        raise ConfigurationError(message)
    if codes is not None:
        _require_code_source(codes)
    if store is not None:
        require_store(store, secrets=True)
    if on_store_failure not in ("local", "fail"):
        message = "on_store_failure must be 'local' or 'fail'"
        raise ConfigurationError(message)


def _require_code_source(codes: object) -> None:
    if isinstance(codes, type) or not callable(codes):
        kind = codes.__name__ if isinstance(codes, type) else type(codes).__name__
        what = f"the class {kind}" if isinstance(codes, type) else kind
        message = f"codes must be an async callable, not {what}"
        raise ConfigurationError(message)
    function = inspect.unwrap(codes)
    # Lambdas cannot be async, and other objects may return awaitables.
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        return
    name, result = function.__name__, str(function.__annotations__.get("return", ""))
    awaitable = any(each in result for each in ("Awaitable", "Coroutine", "Future"))
    if name != "<lambda>" and not (awaitable or inspect.iscoroutinefunction(function)):
        message = f"codes must be an async function, and {name} is not"
        raise ConfigurationError(message, advice=f"Write: async def {name}(scope).")


def _expected_scope(code: object, scope: Scope | str | None) -> Scope | None:
    """Return what a code is expected to grant: as the caller or the code says."""
    if scope is not None:
        return _checked(scope)
    return code.scope if isinstance(code, AuthorizationCode) else None


def _checked(scope: Scope | str) -> Scope:
    asked = Scope.parse(scope)
    if not asked.text:
        message = "the scope is empty"
        raise InvalidScopeError(message)
    return asked
