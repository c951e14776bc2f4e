"""Verifications: reading them, with an API key or under a scoped token."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from persona_share._wire import routes
from persona_share.model.verification import Verification
from persona_share.resources.base import Caller, shaping
from persona_share.resources.options import CallOptions


class Verifications:
    """``/verifications``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def retrieve(
        self,
        verification_id: str,
        *,
        include: Sequence[str] | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        **options: Unpack[CallOptions],
    ) -> Verification:
        """Answer one verification of any type.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /verifications/{verification-id}.
        """
        return await self._caller.one(
            routes.RETRIEVE_VERIFICATION,
            Verification,
            verification_id,
            query=shaping(include, fields),
            options=options,
        )
