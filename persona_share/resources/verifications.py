"""Verifications: checks of one piece of evidence each."""

from typing import Unpack

from persona_share._protocol.routes import verifications as routes
from persona_share.model.verification import Verification
from persona_share.resources.collection import Redacted
from persona_share.resources.options import CallOptions
from persona_share.resources.printing import Printed
from persona_share.resources.query_options import (
    Fields,
    Include,
    RetrieveOptions,
    shaping,
)
from persona_share.resources.typed_verifications import TypedVerifications


class Verifications(
    TypedVerifications, Redacted[Verification], Printed[Verification], kind=Verification
):
    """``/verifications``."""

    _redact = routes.REDACT
    _print = routes.PRINT

    __slots__ = ()

    async def retrieve(
        self,
        verification_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Verification:
        """Answer one verification of any type.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /verifications/{verification-id}.
        """
        shape = shaping(include, fields)
        return await self._one(
            routes.RETRIEVE, verification_id, query=shape, options=options
        )

    async def investigation_lock(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> Verification:
        """Keep a verification as it is while it is looked into."""
        return await self._one(
            routes.INVESTIGATION_LOCK, verification_id, options=options
        )

    async def investigation_unlock(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> Verification:
        """End the lock of a verification."""
        return await self._one(
            routes.INVESTIGATION_UNLOCK, verification_id, options=options
        )
