"""``/documents`` of every type, and ``/document/…`` of one type each."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("document", "documents")

RETRIEVE: Final = _FAMILY.read("/documents/{document-id}")
RETRIEVE_GENERIC: Final = _FAMILY.read("/document/generics/{document-id}")
RETRIEVE_GOVERNMENT_ID: Final = _FAMILY.read("/document/government-ids/{document-id}")
