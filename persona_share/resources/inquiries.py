"""Inquiries: reading them, with an API key or under a scoped token."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from persona_share._wire import routes
from persona_share.model.inquiry import Inquiry
from persona_share.resources.base import Caller, shaping
from persona_share.resources.options import CallOptions


class Inquiries:
    """``/inquiries``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def retrieve(
        self,
        inquiry_id: str,
        *,
        include: Sequence[str] | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        **options: Unpack[CallOptions],
    ) -> Inquiry:
        """Answer one inquiry.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /inquiries/{inquiry-id}.
        """
        return await self._caller.one(
            routes.RETRIEVE_INQUIRY,
            Inquiry,
            inquiry_id,
            query=shaping(include, fields),
            options=options,
        )
