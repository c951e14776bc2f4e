"""The door where a response becomes a value or an error."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

from persona_share._protocol import errors, jsonapi
from persona_share._protocol.http import Expects, Request, Response, Sink
from persona_share._protocol.query import QueryValue, encoded_query
from persona_share._protocol.routes.route import Route
from persona_share._protocol.urls import DEFAULT_BASE_URL
from persona_share.errors import InvalidArgumentError, ScopeNotCoveredError
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope, atom
from persona_share.model.secret import Secret
from persona_share.ports import FileAccess, Runtime, Sender
from persona_share.resources.bodies import NO_BODY, Body
from persona_share.resources.options import CallOptions, checked
from persona_share.resources.query_options import split


R = TypeVar("R", bound=Resource)

_NO_OPTIONS: Final[CallOptions] = {}


def covers(scope: Scope, permission: str, object_id: str) -> bool:
    """Answer whether a scope allows this: by the pair, or by the bare permission."""
    return scope.covers(permission, object_id) or permission in scope


@attrs.frozen(kw_only=True)
class Caller:
    """Makes the calls of one client or of one scoped session."""

    sender: Sender
    runtime: Runtime
    headers: Mapping[str, str]
    timeout: float
    require_open: Callable[[], None]
    scope: Scope | None = None
    retries: int | None = None
    base_url: str = DEFAULT_BASE_URL
    file_access: FileAccess | None = None

    def with_options(self, options: CallOptions) -> "Caller":
        """Answer a caller with other defaults, on the same line."""
        if {"idempotency_key", "repeatable"} & set(options):
            message = "idempotency_key and repeatable belong to one call"
            raise InvalidArgumentError(message)
        return attrs.evolve(
            self,
            headers=self._with(checked(options)),
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
        """Send one request and answer it with its successful response.

        Raises `ScopeNotCoveredError` before any byte leaves, an `ApiError` for any
        answer that is no success, a `TransportError` when no answer came.
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
        """Send to a target that was built and allowed before."""
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
            request = self._as_said(route, request, options)
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
    ) -> R:
        """Answer the one object of an answer, of this kind and, where known, this id.

        ``options`` may hold ``include`` and ``fields`` besides those of every call.
        """
        rest = _NO_OPTIONS
        if options:
            shape, rest = split(options)
            query = {**shape, **(query or {})}
        request, response = await self.call(
            route, *object_ids, query=query, body=body, options=rest
        )
        wanted = object_ids[0] if object_ids else None
        return jsonapi.one(request, response, kind, wanted)

    async def gone(
        self, route: Route, kind: type[R], object_id: str, options: Mapping[str, Any]
    ) -> R | None:
        """Answer the object that was redacted, or None where that was done before."""
        shape, rest = split(options)
        request, response = await self.call(route, object_id, query=shape, options=rest)
        if not response.body:
            return None
        return jsonapi.one(request, response, kind, object_id)

    def require_file_access(self) -> FileAccess:
        """Answer the hosts of files and the disk; raises where there are none."""
        if self.file_access is None:
            message = "this client cannot download files"
            raise InvalidArgumentError(message)
        return self.file_access

    def require_covered(self, route: Route, object_ids: Sequence[str]) -> None:
        """Raise `ScopeNotCoveredError` for what a session's scope does not allow."""
        scope, permission = self.scope, route.permission
        if scope is None:
            return
        if permission is None:
            named = set(scope.object_ids())
            wanted = [each for each in object_ids if each not in named]
        elif object_ids:
            if covers(scope, permission, object_ids[0]):
                return
            wanted = [atom(permission, object_ids[0])]
        else:  # which objects are meant, the service decides
            allowed = any(name == permission for name, _ in scope.pairs())
            wanted = [] if allowed else [permission]
        if wanted:
            message = "the scope of this session does not cover this call"
            raise ScopeNotCoveredError(
                message, missing=" ".join(wanted), operation=route.operation
            )

    def _key(self, route: Route, options: CallOptions) -> Secret | None:
        """Answer the idempotency key: on every POST, and only there (R12)."""
        given = options.get("idempotency_key")
        if route.method == "POST":
            return Secret(given or self.runtime.new_key())
        if given is not None:
            message = f"an idempotency key has no meaning on {route.method}"
            raise InvalidArgumentError(message)
        return None

    def _as_said(self, route: Route, request: Request, options: CallOptions) -> Request:
        """Answer a request that is not like most: with options, a key, or for a PDF."""
        timeout = checked(options).get("timeout", self.timeout)
        return attrs.evolve(
            request,
            deadline=self.runtime.clock.now() + timeout,
            headers=self._headers(route, options),
            idempotency_key=self._key(route, options),
            repeatable=options.get("repeatable", route.repeatable),
            retries=options.get("retries", self.retries),
        )

    def _headers(self, route: Route, options: CallOptions) -> Mapping[str, str]:
        headers = self._with(options) if options else self.headers
        if route.expects is Expects.PDF:
            headers = {**headers, "Accept": "application/pdf, application/json"}
        return headers

    def _with(self, options: CallOptions) -> Mapping[str, str]:
        headers = {**self.headers, **options.get("headers", {})}
        if version := options.get("persona_version"):
            headers["Persona-Version"] = version
        return headers
