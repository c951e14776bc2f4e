"""`Caller` sends a request and turns the response into a value or an error."""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote_plus

import attrs

from persona_share._protocol import errors, jsonapi
from persona_share._protocol.http import (
    DEFAULT_VERSION,
    NOTHING_INCLUDED_SINCE,
    Expects,
    Request,
    Response,
    Sink,
)
from persona_share._protocol.query import QueryValue, encoded_query
from persona_share._protocol.routes import Route
from persona_share._protocol.urls import DEFAULT_BASE_URL
from persona_share.errors import InvalidArgumentError, ScopeNotCoveredError
from persona_share.model.ids import resource_of
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope, atom, split_atom
from persona_share.model.secret import Secret
from persona_share.ports import FileAccess, Runtime, Sender
from persona_share.resources.params import NO_BODY, Body
from persona_share.resources.query_options import (
    CallOptions,
    checked_options,
    split_options,
)


R = TypeVar("R", bound=Resource)

_NO_OPTIONS: Final[CallOptions] = {}


_NOTHING: Final = Scope()
_WORD: Final = re.compile("[A-Za-z0-9_-]+")


def covers(scope: Scope, permission: str, object_id: str) -> bool:
    """Return whether a scope has this permission, for this object or for all objects."""
    return scope.covers(permission, object_id) or permission in scope


def _may_reach_more(route: Route, request: Request) -> bool:
    """Return whether a covered call could reach more of its token than it is about."""
    return (
        route.open_ended
        or route.permission is None
        or request.body is not None
        or "?" in request.target
        or _includes_unasked(request)
    )


def _includes_unasked(request: Request) -> bool:
    """Return whether the response includes related objects unless ``include`` is empty."""
    version = request.headers.get("Persona-Version", DEFAULT_VERSION)
    return version < NOTHING_INCLUDED_SINCE and request.expects is Expects.JSON


def _words_in(request: Request) -> set[str]:
    """Return all words of a request that could be the id of an object."""
    text = f"{request.target} {(request.body or b'').decode('latin-1')}"
    return {*_WORD.findall(text), *_WORD.findall(unquote_plus(text))}


def _withheld_for(words: set[str], withheld: Scope, scope: Scope) -> Iterator[str]:
    """Iterate over the withheld permissions on the objects whose ids are among words."""
    for permission, object_id in withheld.pairs():
        if object_id is None:  # on every object
            family = permission.partition(".")[0]
            for word in words:
                if resource_of(word) == family and not scope.covers(permission, word):
                    yield atom(permission, word)
        elif object_id in words:
            yield atom(permission, object_id)


@attrs.frozen(kw_only=True)
class Caller:
    """Makes the calls of one client or of one scoped session.

    ``check_identity`` refuses a response about another object than the requested one.
    """

    sender: Sender
    runtime: Runtime
    headers: Mapping[str, str]
    timeout: float
    require_open: Callable[[], None]
    scope: Scope | None = None
    retries: int | None = None
    base_url: str = DEFAULT_BASE_URL
    file_access: FileAccess | None = None
    check_identity: bool = True
    #: The permissions of the token that are not in the scope; calls that could use one
    #: are refused. Those that were granted in addition may be used if accepted.
    withheld: Scope = _NOTHING
    accept_broader: bool = False

    def narrowed(self, part: Scope) -> "Caller":
        """Return a caller with the same token that is confined to a part of the scope."""
        rest = (self.scope or part) - part
        return attrs.evolve(self, scope=part, withheld=self.withheld | rest)

    def with_options(self, options: CallOptions) -> "Caller":
        """Return a caller with other defaults and the same connections."""
        if {"idempotency_key", "repeatable"} & set(options):
            message = "idempotency_key and repeatable are options of one call"
            raise InvalidArgumentError(message)
        return attrs.evolve(
            self,
            headers=self._merged_headers(checked_options(options)),
            timeout=options.get("timeout", self.timeout),
            retries=options.get("retries", self.retries),
        )

    def call(
        self,
        route: Route,
        *object_ids: str,
        query: Mapping[str, QueryValue] | None = None,
        body: Body = NO_BODY,
        options: CallOptions = _NO_OPTIONS,
        sink: Sink | None = None,
    ) -> Coroutine[Any, Any, tuple[Request, Response]]:
        """Send one request and return it with its successful response.

        Raises:
            ScopeNotCoveredError: The session's scope does not allow it; nothing is
                sent.
            ApiError: The service responded with an error.
            TransportError: No response arrived.
        """
        path = route.path(*object_ids)
        self.require_covered(route, object_ids)
        target = path + encoded_query(query) if query else path
        return self.send(route, target, body, options, sink)

    async def send(
        self,
        route: Route,
        target: str,
        body: Body = NO_BODY,
        options: CallOptions = _NO_OPTIONS,
        sink: Sink | None = None,
    ) -> tuple[Request, Response]:
        """Send to a target; the caller has checked its path and scope."""
        self.require_open()
        request = Request(
            method=route.method,
            route=route.template,
            target=target,
            deadline=self.runtime.clock.now() + self.timeout,
            headers=self.headers,
            body=body.content,
            content_type=body.content_type,
            expects=route.expects,
            repeatable=route.repeatable,
            reconcile=route.reconcile,
            retries=self.retries,
            sink=sink,
        )
        if options or route.expects is Expects.PDF or route.method == "POST":
            request = self._with_options(route, request, options)
        if self.scope is not None and _may_reach_more(route, request):
            request = self._confined(route, request, self.withheld)
            if not self.accept_broader:
                confine = partial(self._confined_under, route)
                request = attrs.evolve(request, confine=confine)
        response = await self.sender.send(request)
        if (error := errors.error_in(request, response)) is not None:
            raise error
        return request, response

    async def one(
        self,
        route: Route,
        kind: type[R],
        *object_ids: str,
        body: Body = NO_BODY,
        query: Mapping[str, QueryValue] | None = None,
        options: Mapping[str, Any] = _NO_OPTIONS,
        same_object: bool = True,
    ) -> R:
        """Return the one object of a response.

        ``options`` may contain ``include`` and ``fields``. ``same_object`` says that
        the response is about the object in the path.
        """
        rest = _NO_OPTIONS
        if options:
            select, rest = split_options(options)
            query = {**select, **(query or {})}
        request, response = await self.call(
            route, *object_ids, query=query, body=body, options=rest
        )
        wanted = object_ids[0] if object_ids and same_object else None
        return jsonapi.one(
            request, response, kind, wanted if self.check_identity else None
        )

    async def redact(
        self, route: Route, kind: type[R], object_id: str, options: Mapping[str, Any]
    ) -> R | None:
        """Return the redacted object, or None if an earlier attempt redacted it."""
        select, rest = split_options(options)
        request, response = await self.call(
            route, object_id, query=select, options=rest
        )
        if not response.body:
            return None
        wanted = object_id if self.check_identity else None
        return jsonapi.one(request, response, kind, wanted)

    def require_file_access(self) -> FileAccess:
        """Return the access to file hosts and the disk; raises if there is none."""
        if self.file_access is None:
            message = "this client cannot download files"
            raise InvalidArgumentError(message)
        return self.file_access

    def require_covered(self, route: Route, object_ids: Sequence[str]) -> None:
        """Raise `ScopeNotCoveredError` if a session's scope does not allow a call."""
        scope, permission = self.scope, route.permission
        if scope is None:
            return
        if permission is None:
            named = set(scope.object_ids())
            missing = [each for each in object_ids if each not in named]
        elif object_ids:
            if covers(scope, permission, object_ids[0]):
                return
            missing = [atom(permission, object_ids[0])]
        else:  # the service decides which objects are returned
            allowed = any(name == permission for name, _ in scope.pairs())
            missing = [] if allowed else [permission]
        if missing:
            raise ScopeNotCoveredError.of(missing, operation=route.operation)

    def _confined_under(
        self, route: Route, request: Request, authorization: Any
    ) -> Request:
        """Return a request that reaches nothing that its token covers in addition."""
        scope = self.scope or _NOTHING
        if authorization.scope <= scope:
            return request
        return self._confined(route, request, authorization.scope - scope)

    def _confined(self, route: Route, request: Request, withheld: Scope) -> Request:
        """Return a request that reaches nothing that the token covers in addition.

        Raises `ScopeNotCoveredError` if it might.
        """
        if not withheld:
            return request
        query = request.target.partition("?")[2]
        pairs = parse_qsl(query, keep_blank_values=True)
        included = any(name[:7] == "include" and value for name, value in pairs)
        if route.open_ended or included:
            message = (
                "the session's token covers more than the session's scope, so calls that"
                " name no object, and include=, are refused"
            )
            raise ScopeNotCoveredError(
                message,
                missing=route.permission or route.operation,
                operation=route.operation,
            )
        scope = self.scope or _NOTHING
        # Without a documented permission, a call may use any permission on its object.
        own = scope.object_ids() if route.permission is not None else ()
        words = _words_in(request).difference(own)
        missing = [
            each
            for each in _withheld_for(words, withheld, scope)
            if route.method != "GET" or split_atom(each)[0].endswith(".read")
        ]
        if missing:
            raise ScopeNotCoveredError.of(missing, operation=route.operation)
        if _includes_unasked(request) and ("include", "") not in pairs:
            target = f"{request.target}{'&' if query else '?'}include="
            request = attrs.evolve(request, target=target)
        return request

    def _idempotency_key(self, route: Route, options: CallOptions) -> Secret | None:
        """Return the idempotency key: every POST has one, other methods have none."""
        given = options.get("idempotency_key")
        if route.method == "POST":
            return Secret(given or self.runtime.new_key())
        if given is not None:
            message = f"idempotency_key has no meaning for {route.method}"
            raise InvalidArgumentError(message)
        return None

    def _with_options(
        self, route: Route, request: Request, options: CallOptions
    ) -> Request:
        """Return the request with options, an idempotency key, or for a PDF."""
        timeout = checked_options(options).get("timeout", self.timeout)
        headers = self._merged_headers(options) if options else self.headers
        if route.expects is Expects.PDF:
            headers = {**headers, "Accept": "application/pdf, application/json"}
        return attrs.evolve(
            request,
            deadline=self.runtime.clock.now() + timeout,
            headers=headers,
            idempotency_key=self._idempotency_key(route, options),
            repeatable=options.get("repeatable", route.repeatable),
            retries=options.get("retries", self.retries),
        )

    def _merged_headers(self, options: CallOptions) -> Mapping[str, str]:
        headers = {**self.headers, **options.get("headers", {})}
        if version := options.get("persona_version"):
            headers["Persona-Version"] = version
        return headers
