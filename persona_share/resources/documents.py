"""Documents: papers and cards, with their files."""

from typing import Unpack

from persona_share._protocol.routes import documents as routes
from persona_share.model.document import (
    Document,
    GenericDocument,
    GovernmentIdDocument,
)
from persona_share.resources.collection import Collection
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import (
    Fields,
    Include,
    RetrieveOptions,
    shaping,
)


class Documents(Collection[Document], kind=Document):
    """``/documents``."""

    __slots__ = ()

    async def retrieve(
        self,
        document_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Document:
        """Answer one document of any type.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /documents/{document-id}.
        """
        shape = shaping(include, fields)
        return await self._one(
            routes.RETRIEVE, document_id, query=shape, options=options
        )

    async def retrieve_generic(
        self, document_id: str, **options: Unpack[RetrieveOptions]
    ) -> GenericDocument:
        """Answer one generic document."""
        return await self._caller.one(
            routes.RETRIEVE_GENERIC, GenericDocument, document_id, options=options
        )

    async def retrieve_government_id(
        self, document_id: str, **options: Unpack[RetrieveOptions]
    ) -> GovernmentIdDocument:
        """Answer one document of a government."""
        return await self._caller.one(
            routes.RETRIEVE_GOVERNMENT_ID,
            GovernmentIdDocument,
            document_id,
            options=options,
        )
