"""The door where a response becomes a value or an error."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, cast
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
from persona_share.resources.options import CallOptions, checked


R = TypeVar("R", bound=Resource)

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
_NO_OPTIONS: Final[CallOptions] = {}


def covers(scope: Scope, permission: str, object_id: str) -> bool:
    """Answer whether a scope allows this: by the pair, or by the bare permission."""
    return scope.covers(permission, object_id) or permission in scope


@attrs.frozen
class Body:
    """A request's body, encoded once for all attempts."""

    content: bytes | None = attrs.field(default=None, repr=False)
    content_type: str | None = None

    @classmethod
    def of_json(cls, value: object) -> "Body":
        """Encode a JSON value; raises `InvalidArgumentError` if it is none."""
        try:
            return cls(orjson.dumps(value), JSON)
        except (TypeError, ValueError):
            message = "the body holds something that JSON cannot express"
            raise InvalidArgumentError(message) from None

    @classmethod
    def of_form(cls, values: Mapping[str, str]) -> "Body":
        """Encode a form."""
        return cls(urlencode(values).encode(), FORM)


NO_BODY: Final = Body()


@attrs.frozen(kw_only=True)
class Caller:
    """Makes the calls of one client or of one scoped session."""

    sender: Sender
    world: World
    headers: Mapping[str, str]
    timeout: float
    require_open: Callable[[], None]
    scope: Scope | None = None
    retries: int | None = None

    def with_options(self, options: CallOptions) -> "Caller":
        """Answer a caller with other defaults, on the same line."""
        if "idempotency_key" in options:
            message = "an idempotency key belongs to one call"
            raise InvalidArgumentError(message)
        return attrs.evolve(
            self,
            headers=self._headers(checked(options)),
            timeout=options.get("timeout", self.timeout),
            retries=options.get("retries", self.retries),
        )

    async def call(
        self,
        route: Route,
        *object_ids: str,
        query: Mapping[str, QueryValue] | None = None,
        body: Body = NO_BODY,
        options: CallOptions = _NO_OPTIONS,
    ) -> tuple[Request, Response]:
        """Send one request and answer it with its successful response.

        Raises `ScopeNotCoveredError` before any byte leaves, an `ApiError` for any
        answer that is no success, a `TransportError` when no answer came.
        """
        path = route.path(*object_ids)
        self.require_covered(route, object_ids)
        target = path + encoded_query(query) if query else path
        return await self.send(route, target, body, options)

    async def send(
        self,
        route: Route,
        target: str,
        body: Body = NO_BODY,
        options: CallOptions = _NO_OPTIONS,
    ) -> tuple[Request, Response]:
        """Send to a target that was built and allowed before."""
        self.require_open()
        if options:
            checked(options)
        request = Request(
            method=route.method,
            route=route.template,
            target=target,
            deadline=self.world.clock.now() + options.get("timeout", self.timeout),
            headers=self._headers(options) if options else self.headers,
            body=body.content,
            content_type=body.content_type,
            idempotency_key=self._key(route, options),
            expects=route.expects,
            repeatable=route.repeatable,
            reconcile=route.reconcile,
            retries=options.get("retries", self.retries),
        )
        response = await self.sender.send(request)
        if (error := failures.error_in(request, response)) is not None:
            raise error
        return request, response

    async def one(
        self,
        route: Route,
        kind: type[R],
        *object_ids: str,
        query: Mapping[str, QueryValue] | None = None,
        body: Body = NO_BODY,
        options: CallOptions = _NO_OPTIONS,
    ) -> R:
        """Answer the one object of an answer, of this kind and, where known, this id."""
        request, response = await self.call(
            route, *object_ids, query=query, body=body, options=options
        )
        wanted = object_ids[0] if object_ids else None
        return envelope.one(request, response, kind, wanted)

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

    def _key(self, route: Route, options: CallOptions) -> Secret | None:
        """Answer the idempotency key: on every POST, and only there (R12)."""
        given = options.get("idempotency_key")
        if route.method == "POST":
            return Secret(given or self.world.new_key())
        if given is not None:
            message = f"an idempotency key has no meaning on {route.method}"
            raise InvalidArgumentError(message)
        return None

    def _headers(self, options: CallOptions) -> Mapping[str, str]:
        headers = {**self.headers, **options.get("headers", {})}
        if version := options.get("persona_version"):
            headers["Persona-Version"] = version
        return headers


def shaping(
    include: Sequence[str] | None, fields: Mapping[str, Sequence[str]] | None
) -> dict[str, QueryValue]:
    """Answer the query of ``include`` and ``fields`` (JSON:API sparse fields)."""
    query: dict[str, QueryValue] = {}
    if include is not None:
        query["include"] = _names("include", include)
    for type_name, names in (fields or {}).items():
        query[f"fields[{type_name}]"] = _names(f"fields[{type_name}]", names)
    return query


def _names(what: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        message = f"{what} must be a sequence of names"
        raise InvalidArgumentError(message)
    return tuple(cast("Sequence[str]", value))
