"""Verifications by their type: ``/verification/…``, which answers no other one."""

from typing import Unpack

from persona_share._protocol.routes import verifications as routes
from persona_share.model.verification import Verification
from persona_share.model.verification_types import (
    DatabaseVerification,
    DocumentVerification,
    EmailAddressVerification,
    GovernmentIdVerification,
    PhoneNumberVerification,
    SelfieVerification,
)
from persona_share.resources.collection import Collection
from persona_share.resources.query_options import RetrieveOptions


class TypedVerifications(Collection[Verification]):
    """Verifications of a type that is known beforehand."""

    __slots__ = ()

    async def retrieve_aamva(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against the registers of American licenses."""
        return await self._caller.one(
            routes.RETRIEVE_AAMVA,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against a register."""
        return await self._caller.one(
            routes.RETRIEVE_DATABASE,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_ecbsv(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against the American social security numbers."""
        return await self._caller.one(
            routes.RETRIEVE_DATABASE_ECBSV,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_phone_carrier(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against a phone carrier."""
        return await self._caller.one(
            routes.RETRIEVE_DATABASE_PHONE_CARRIER,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_serpro(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against the Brazilian register."""
        return await self._caller.one(
            routes.RETRIEVE_DATABASE_SERPRO,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_standard(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against a register, of the standard kind."""
        return await self._caller.one(
            routes.RETRIEVE_DATABASE_STANDARD,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_tin(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Answer a verification against the American taxpayer numbers."""
        return await self._caller.one(
            routes.RETRIEVE_DATABASE_TIN,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_document(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DocumentVerification:
        """Answer a verification of a document."""
        return await self._caller.one(
            routes.RETRIEVE_DOCUMENT,
            DocumentVerification,
            verification_id,
            options=options,
        )

    async def retrieve_email_address(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> EmailAddressVerification:
        """Answer a verification of an e-mail address."""
        return await self._caller.one(
            routes.RETRIEVE_EMAIL_ADDRESS,
            EmailAddressVerification,
            verification_id,
            options=options,
        )

    async def retrieve_government_id(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> GovernmentIdVerification:
        """Answer a verification of a government's document."""
        return await self._caller.one(
            routes.RETRIEVE_GOVERNMENT_ID,
            GovernmentIdVerification,
            verification_id,
            options=options,
        )

    async def retrieve_government_id_nfc(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> GovernmentIdVerification:
        """Answer a verification of a government's document, read by NFC."""
        return await self._caller.one(
            routes.RETRIEVE_GOVERNMENT_ID_NFC,
            GovernmentIdVerification,
            verification_id,
            options=options,
        )

    async def retrieve_phone_number(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> PhoneNumberVerification:
        """Answer a verification of a phone number."""
        return await self._caller.one(
            routes.RETRIEVE_PHONE_NUMBER,
            PhoneNumberVerification,
            verification_id,
            options=options,
        )

    async def retrieve_selfie(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> SelfieVerification:
        """Answer a verification of a face."""
        return await self._caller.one(
            routes.RETRIEVE_SELFIE, SelfieVerification, verification_id, options=options
        )
