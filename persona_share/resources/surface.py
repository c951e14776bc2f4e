"""What a client and a scoped session have in common: the resources, and any endpoint."""

from collections.abc import Mapping

from persona_share import resources
from persona_share._wire import envelope
from persona_share._wire.query import QueryValue, encoded_query
from persona_share._wire.routes import Route, filled, known
from persona_share.model.resource import Document
from persona_share.resources.base import Caller, encoded_body


class Surface:
    """The resources that an API key and a scoped token both reach."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def inquiries(self) -> "resources.Inquiries":
        """Inquiries."""
        return resources.Inquiries(self._caller)

    @property
    def verifications(self) -> "resources.Verifications":
        """Verifications of every type."""
        return resources.Verifications(self._caller)

    async def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Document:
        """Call any other endpoint: ``path`` as documented, with its placeholders.

        Raises:
            InvalidArgumentError: before any byte leaves, for what cannot be sent.
            ScopeNotCoveredError: before any byte leaves, on a session.
            ApiError: any answer that is no success.
            TransportError: no answer came.
        """
        params = path_params or {}
        verb, target = filled(method, path, params)
        body, content_type = encoded_body(json, form)
        route, ids = known(verb, target) or (Route(verb, path), tuple(params.values()))
        self._caller.require_covered(route, ids)
        request, response = await self._caller.send(
            route,
            target + encoded_query(query or {}),
            body=body,
            content_type=content_type,
            idempotency_key=idempotency_key,
        )
        return envelope.document(request, response)
