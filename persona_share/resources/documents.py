"""Documents: papers and cards, with their files."""

from typing import Unpack

from persona_share._protocol.routes import DocumentRoutes
from persona_share.model.document import (
    Document,
    GenericDocument,
    GovernmentIdDocument,
)
from persona_share.resources.collection import Retrievable
from persona_share.resources.query_options import RetrieveOptions


class Documents(Retrievable[Document], kind=Document, routes=DocumentRoutes):
    """The endpoints of ``/documents`` and ``/document/…``."""

    __slots__ = ()

    async def retrieve_generic(
        self, document_id: str, **options: Unpack[RetrieveOptions]
    ) -> GenericDocument:
        """Return one generic document."""
        return await self._caller.one(
            DocumentRoutes.RETRIEVE_GENERIC,
            GenericDocument,
            document_id,
            options=options,
        )

    async def retrieve_government_id(
        self, document_id: str, **options: Unpack[RetrieveOptions]
    ) -> GovernmentIdDocument:
        """Return one government ID document."""
        return await self._caller.one(
            DocumentRoutes.RETRIEVE_GOVERNMENT_ID,
            GovernmentIdDocument,
            document_id,
            options=options,
        )
