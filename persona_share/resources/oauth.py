"""Authorization codes: what the source organization makes for a partner."""

from datetime import timedelta
from typing import Unpack

from persona_share._protocol import oauth
from persona_share._protocol.redaction import shown_id
from persona_share._protocol.routes import oauth as routes
from persona_share.errors import InvalidScopeError, MalformedResponseError
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope
from persona_share.model.token import AuthorizationCode
from persona_share.resources.base import Caller
from persona_share.resources.bodies import FORM, Body
from persona_share.resources.options import CallOptions


class OAuth:
    """``/oauth``: a restricted API that Persona enables for an organization."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def authorize(
        self, *, client_id: str, scope: Scope | str, **options: Unpack[CallOptions]
    ) -> AuthorizationCode:
        """Allow a partner organization these permissions on these objects.

        ``client_id`` is the partner's organization id (``org_…``). The code works once,
        for about ten minutes (``expires_at``), for that organization only. Raises
        `InvalidScopeError` for an empty scope or one without object ids, and
        `PermissionDeniedError` where OAuth is not enabled. Source: POST
        /oauth/authorize; RFC 6749 §4.1.
        """
        checked_id(client_id, "client_id")
        asked = Scope.parse(scope)
        if not asked:
            message = "an authorization needs at least one permission"
            raise InvalidScopeError(message)
        for index, (_, object_id) in enumerate(asked.pairs()):
            if object_id is None:
                message = f"atom {index + 1} names no object"
                raise InvalidScopeError(message, index=index)
        form = oauth.authorize_form(client_id, asked)
        request, response = await self._caller.call(
            routes.AUTHORIZE, body=Body(form, FORM), options=options
        )
        try:
            authorization = oauth.authorized(response.body)
        except MalformedResponseError as error:
            raise MalformedResponseError(
                error.what,
                operation=request.operation,
                status=response.status,
                attempts=response.attempts,
            ) from None
        clock = self._caller.runtime.clock
        age = max(0.0, clock.now() - response.first_sent_at)
        left = timedelta(seconds=authorization.lifetime - age)
        return AuthorizationCode(
            authorization.code.reveal(),
            scope=asked,
            expires_at=clock.wall() + left,
            request_id=shown_id(response.headers.get("request-id")),
        )
