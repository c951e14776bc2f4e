"""Printing as PDF."""

from typing import ClassVar, TypeVar, Unpack

from persona_share._protocol.http import Sink
from persona_share._protocol.routes.route import Route
from persona_share.model.resource import Resource
from persona_share.resources.collection import Collection
from persona_share.resources.downloads import MOST_BYTES, Download, poured
from persona_share.resources.options import CallOptions, checked


R = TypeVar("R", bound=Resource)


class Printed(Collection[R]):
    """Objects that can be printed."""

    _print: ClassVar[Route]

    __slots__ = ()

    def print(
        self,
        object_id: str,
        *,
        max_bytes: int = MOST_BYTES,
        **options: Unpack[CallOptions],
    ) -> Download:
        """Answer an object as a PDF: ``await`` it, iterate it, or ``save`` it.

        Source: GET /{inquiries,reports,verifications}/{id}/print.
        """
        checked(options)

        async def fetch(sink: Sink) -> None:
            """Fetch the PDF."""
            _, response = await self._caller.call(
                self._print, object_id, options=options, sink=sink
            )
            await poured(response, sink)

        file_access = self._caller.file_access
        return Download(fetch, file_access, max_bytes=max_bytes, kind="application/pdf")
