"""Factories of single values, for tests without a sandbox."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from persona_share._protocol import jsonapi
from persona_share._protocol.http import Response
from persona_share._transport.runtime import default_clock
from persona_share.model.resource import Resource, ResponseInfo
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AccessToken, AuthorizationCode
from persona_share.ports import Clock
from persona_share.webhooks import sign


R = TypeVar("R", bound=Resource)

#: The lifetimes that Persona announces, in seconds.
TOKEN_LIFETIME: Final = 3_599.0


def resource(kind: type[R], object_id: str, **attributes: Any) -> R:
    """Return an object of the API: ``resource(Inquiry, "inq_1", status="completed")``.

    Attributes are JSON values, or times, by their snake_case names.
    """
    raw = {
        "type": jsonapi.type_of(kind),
        "id": object_id,
        "attributes": {
            name.replace("_", "-"): _plain(value) for name, value in attributes.items()
        },
    }
    found = jsonapi.resource(raw, ResponseInfo())
    if not isinstance(found, kind):
        message = f"{kind.__name__} is not a class of API objects"
        raise TypeError(message)
    return found


def access_token(
    scope: Scope | str,
    value: str = "localbox_token_of_a_test",
    *,
    lifetime: float = TOKEN_LIFETIME,
    clock: Clock | None = None,
) -> AccessToken:
    """Return a token that is valid for ``lifetime`` seconds from now."""
    clock = clock or default_clock()
    return AccessToken(
        value,
        scope=Scope.parse(scope),
        generation=1,
        ends=clock.now() + lifetime,
        lifetime=lifetime,
        clock=clock,
    )


def authorization_code(
    scope: Scope | str,
    value: str = "localbox_code_of_a_test",
    *,
    expires_at: datetime | None = None,
) -> AuthorizationCode:
    """Return an authorization code."""
    return AuthorizationCode(value, scope=Scope.parse(scope), expires_at=expires_at)


def delivery(
    event: str,
    subject: Resource,
    secret: str | Secret,
    *,
    event_id: str = "evt_1",
    at: datetime | None = None,
) -> tuple[bytes, str]:
    """Return the body of a webhook and its ``Persona-Signature`` header.

    ``event`` is the name of an event, such as ``inquiry.completed``, and ``subject`` its
    object.
    """
    signed_at = at or default_clock().wall()
    attributes = {
        "name": event,
        "payload": {"data": dict(subject.raw)},
        "created-at": _plain(signed_at),
    }
    body = orjson.dumps(
        {"data": {"type": "event", "id": event_id, "attributes": attributes}}
    )
    return body, sign(body, secret, at=signed_at)


def response(
    status: int = 200, json: Any = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response for a `ScriptedSender`; header names are lower-case."""
    given = {"content-type": "application/json", **(headers or {})}
    body = b"" if json is None else orjson.dumps(json)
    return Response(status=status, body=body, headers=given)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
