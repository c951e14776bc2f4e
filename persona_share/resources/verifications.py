"""Verifications: checks of one piece of evidence each."""

from typing import Unpack

from persona_share._protocol.routes import VerificationRoutes
from persona_share.model.verification import (
    DatabaseVerification,
    DocumentVerification,
    EmailAddressVerification,
    GovernmentIdVerification,
    PhoneNumberVerification,
    SelfieVerification,
    Verification,
)
from persona_share.resources.collection import Printable, Redactable, Retrievable
from persona_share.resources.query_options import RetrieveOptions


class Verifications(
    Retrievable[Verification],
    Redactable[Verification],
    Printable[Verification],
    kind=Verification,
    routes=VerificationRoutes,
):
    """The endpoints of ``/verifications`` and ``/verification/…``.

    `retrieve` returns a verification of any type; the other methods one type each.
    """

    __slots__ = ()

    async def investigation_lock(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> Verification:
        """Lock a verification during an investigation."""
        return await self._one(
            VerificationRoutes.INVESTIGATION_LOCK, verification_id, options=options
        )

    async def investigation_unlock(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> Verification:
        """Unlock a verification."""
        return await self._one(
            VerificationRoutes.INVESTIGATION_UNLOCK, verification_id, options=options
        )

    async def retrieve_aamva(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a verification against US driver's license registers."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_AAMVA,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a database verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DATABASE,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_ecbsv(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a verification of a US social security number (eCBSV)."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DATABASE_ECBSV,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_phone_carrier(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a verification against a phone carrier."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DATABASE_PHONE_CARRIER,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_serpro(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a verification against the Brazilian register (Serpro)."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DATABASE_SERPRO,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_standard(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a standard database verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DATABASE_STANDARD,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_database_tin(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DatabaseVerification:
        """Return a verification of a US taxpayer number (TIN)."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DATABASE_TIN,
            DatabaseVerification,
            verification_id,
            options=options,
        )

    async def retrieve_document(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> DocumentVerification:
        """Return a document verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_DOCUMENT,
            DocumentVerification,
            verification_id,
            options=options,
        )

    async def retrieve_email_address(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> EmailAddressVerification:
        """Return an email address verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_EMAIL_ADDRESS,
            EmailAddressVerification,
            verification_id,
            options=options,
        )

    async def retrieve_government_id(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> GovernmentIdVerification:
        """Return a government ID verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_GOVERNMENT_ID,
            GovernmentIdVerification,
            verification_id,
            options=options,
        )

    async def retrieve_government_id_nfc(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> GovernmentIdVerification:
        """Return a government ID verification by NFC."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_GOVERNMENT_ID_NFC,
            GovernmentIdVerification,
            verification_id,
            options=options,
        )

    async def retrieve_phone_number(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> PhoneNumberVerification:
        """Return a phone number verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_PHONE_NUMBER,
            PhoneNumberVerification,
            verification_id,
            options=options,
        )

    async def retrieve_selfie(
        self, verification_id: str, **options: Unpack[RetrieveOptions]
    ) -> SelfieVerification:
        """Return a selfie verification."""
        return await self._caller.one(
            VerificationRoutes.RETRIEVE_SELFIE,
            SelfieVerification,
            verification_id,
            options=options,
        )
