"""The door where a response becomes a value or an error."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode

import attrs
import orjson

from persona_share._wire import envelope, failures
from persona_share._wire.messages import Request, Response
from persona_share._wire.query import QueryValue, encoded_query
from persona_share._wire.routes import Route
from persona_share.errors import InvalidArgumentError, ScopeNotCoveredError
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope, atom
from persona_share.model.secret import Secret
from persona_share.ports import Sender, World


R = TypeVar("R", bound=Resource)

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


def covers(scope: Scope, permission: str, object_id: str) -> bool:
    """Answer whether a scope allows this: by the pair, or by the bare permission."""
    return scope.covers(permission, object_id) or permission in scope


@attrs.frozen(kw_only=True)
class Caller:
    """Makes the calls of one client or of one scoped session."""

    sender: Sender
    world: World
    headers: Mapping[str, str]
    timeout: float
    require_open: Callable[[], None]
    scope: Scope | None = None

    async def call(
        self,
        route: Route,
        *object_ids: str,
        query: Mapping[str, QueryValue] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> tuple[Request, Response]:
        """Send one request and answer it with its successful response.

        Raises `ScopeNotCoveredError` before any byte leaves, an `ApiError` for any
        answer that is no success, a `TransportError` when no answer came.
        """
        path = route.path(*object_ids)
        self.require_covered(route, object_ids)
        target = path + encoded_query(query) if query else path
        return await self.send(route, target, body=body, content_type=content_type)

    async def send(
        self,
        route: Route,
        target: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Request, Response]:
        """Send to a target that was built and allowed before."""
        self.require_open()
        request = Request(
            method=route.method,
            route=route.template,
            target=target,
            deadline=self.world.clock.now() + self.timeout,
            headers=self.headers,
            body=body,
            content_type=content_type,
            idempotency_key=self._key(route, idempotency_key),
            expects=route.expects,
            repeatable=route.repeatable,
            reconcile=route.reconcile,
        )
        response = await self.sender.send(request)
        if not response.ok:
            raise failures.error_of(request, response)
        return request, response

    async def retrieve(
        self,
        route: Route,
        kind: type[R],
        object_id: str,
        include: Sequence[str] | None,
        fields: Mapping[str, Sequence[str]] | None,
    ) -> R:
        """Answer one object, and make sure that it is the one that was asked for."""
        request, response = await self.call(
            route, object_id, query=shaping(include, fields)
        )
        return envelope.one(request, response, kind, object_id)

    def _key(self, route: Route, given: str | None) -> Secret | None:
        """Answer the idempotency key: on every POST, and only there (R12)."""
        if route.method != "POST":
            if given is not None:
                message = f"an idempotency key has no meaning on {route.method}"
                raise InvalidArgumentError(message)
            return None
        if given is not None and not _KEY.fullmatch(given):
            message = "idempotency_key must be 1 to 255 of letters, digits, '_' and '-'"
            raise InvalidArgumentError(message)
        return Secret(given or self.world.new_key())

    def require_covered(self, route: Route, object_ids: Sequence[str]) -> None:
        """Raise `ScopeNotCoveredError` for what a session's scope does not allow."""
        if self.scope is None:
            return
        if route.permission is not None and object_ids:
            wanted = [atom(route.permission, object_ids[0])]
            allowed = covers(self.scope, route.permission, object_ids[0])
        else:
            named = set(self.scope.object_ids())
            wanted = [each for each in object_ids if each not in named]
            allowed = not wanted
        if not allowed:
            message = "the scope of this session does not cover this call"
            raise ScopeNotCoveredError(
                message, missing=" ".join(wanted), operation=route.operation
            )


def shaping(
    include: Sequence[str] | None, fields: Mapping[str, Sequence[str]] | None
) -> dict[str, QueryValue]:
    """Answer the query of ``include`` and ``fields`` (JSON:API sparse fields)."""
    for name, value in (("include", include), *(fields or {}).items()):
        if isinstance(value, str):
            message = f"{name} must be a sequence of names, not one text"
            raise InvalidArgumentError(message)
    query: dict[str, QueryValue] = {}
    if include is not None:
        query["include"] = tuple(include)
    for type_name, names in (fields or {}).items():
        query[f"fields[{type_name}]"] = tuple(names)
    return query


def encoded_body(
    json: object | None, form: Mapping[str, str] | None
) -> tuple[bytes | None, str | None]:
    """Answer the body and its content type, encoded once for all attempts."""
    if json is not None and form is not None:
        message = "pass json= or form=, not both"
        raise InvalidArgumentError(message)
    if form is not None:
        return urlencode(form).encode(), FORM
    if json is None:
        return None, None
    try:
        return orjson.dumps(json), JSON
    except (TypeError, ValueError):
        message = "json= holds something that JSON cannot express"
        raise InvalidArgumentError(message) from None
