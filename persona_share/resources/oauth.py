"""Authorization codes, which the source organization creates for a partner."""

from datetime import timedelta
from typing import Unpack

from persona_share._protocol import oauth
from persona_share._protocol.redaction import shown_id
from persona_share._protocol.routes import OAuthRoutes
from persona_share.errors import InvalidScopeError, MalformedResponseError
from persona_share.model.ids import checked_id, require_prefix
from persona_share.model.scope import Scope
from persona_share.model.token import AuthorizationCode
from persona_share.resources.base import Caller
from persona_share.resources.params import FORM, Body
from persona_share.resources.query_options import CallOptions


class OAuth:
    """The endpoint ``/oauth/authorize``, which Persona enables for an organization."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def authorize(
        self, *, client_id: str, scope: Scope | str, **options: Unpack[CallOptions]
    ) -> AuthorizationCode:
        """Authorize a partner organization for these permissions on these objects.

        ``client_id`` is the partner's organization id (``org_…``). Only that
        organization can use the code, once and for about ten minutes (``expires_at``).
        Source: RFC 6749 §4.1.

        Raises:
            InvalidScopeError: The scope is empty or has a permission without an object.
            PermissionDeniedError: OAuth is not enabled for the organization.
        """
        client_id = checked_id(client_id, "client_id")
        require_prefix(client_id, "organization-id")
        requested = Scope.parse(scope)
        if not requested:
            message = "the scope is empty"
            raise InvalidScopeError(message)
        for index, (_, object_id) in enumerate(requested.pairs()):
            if object_id is None:
                message = f"permission {index + 1} of the scope has no object id"
                raise InvalidScopeError(message, index=index)
        form = oauth.authorize_form(client_id, requested)
        request, response = await self._caller.call(
            OAuthRoutes.AUTHORIZE, body=Body(form, FORM), options=options
        )
        authorization = _parsed(response.body)
        if isinstance(authorization, str):
            raise MalformedResponseError(
                authorization,
                operation=request.operation,
                status=response.status,
                attempts=response.attempts,
            )
        clock = self._caller.runtime.clock
        age = max(0.0, clock.now() - response.first_sent_at)
        left = timedelta(seconds=authorization.lifetime - age)
        return AuthorizationCode(
            authorization.code.reveal(),
            scope=requested,
            expires_at=clock.wall() + left,
            request_id=shown_id(response.headers.get("request-id")),
        )


def _parsed(body: bytes) -> oauth.AuthorizationResponse | str:
    """Return the code in a response, or why there is none.

    It is raised elsewhere, as frames in an error report must not contain a code.
    """
    try:
        return oauth.parse_authorization(body)
    except MalformedResponseError as error:
        return error.what
