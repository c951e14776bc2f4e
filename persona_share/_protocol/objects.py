"""JSON:API objects: each becomes an instance of the class for its type."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import attrs

from persona_share import model
from persona_share._protocol import codec
from persona_share.model.resource import Along, Resource, ResponseInfo
from persona_share.model.response import Included


#: The class of a type, or of the family that the type begins with ("report/…").
_KINDS: Final[Mapping[str, str]] = {
    "account": "Account",
    "case": "Case",
    "connect/connection": "Connection",
    "connect/share-token": "ShareToken",
    "device": "Device",
    "document": "Document",
    "document/generic": "GenericDocument",
    "document/government-id": "GovernmentIdDocument",
    "event": "Event",
    "inquiry": "Inquiry",
    "inquiry-session": "InquirySession",
    "rate-limit": "RateLimit",
    "report": "Report",
    "transaction": "Transaction",
    "txn": "Transaction",
    "verification": "Verification",
    "verification/aamva": "DatabaseVerification",
    "verification/database": "DatabaseVerification",
    "verification/database-ecbsv": "DatabaseVerification",
    "verification/database-phone-carrier": "DatabaseVerification",
    "verification/database-serpro": "DatabaseVerification",
    "verification/database-standard": "DatabaseVerification",
    "verification/database-tin": "DatabaseVerification",
    "verification/document": "DocumentVerification",
    "verification/email-address": "EmailAddressVerification",
    "verification/government-id": "GovernmentIdVerification",
    "verification/government-id-nfc": "GovernmentIdVerification",
    "verification/phone-number": "PhoneNumberVerification",
    "verification/selfie": "SelfieVerification",
}
_NO_MAPPING: Final[Mapping[Any, Any]] = {}


class ObjectCodec:
    """The codec that every object of the API holds."""

    decoder: Callable[[Any], Callable[[Any], Any]] = staticmethod(codec.decoder)

    def nested(self, document: Any, answer: ResponseInfo) -> Resource:
        """Answer the object in a document that stands inside another one.

        Raises `TypeError` or `LookupError` where there is none.
        """
        return resource(document["data"], answer, along(document, answer))

    def __repr__(self) -> str:
        return "<codec>"


CODEC: Final = ObjectCodec()
#: What comes along with most answers: nothing.
ALONE: Final = Along(CODEC)

# Filling the slots does what the constructor does, in half of its time, for every
# object of every answer.
_NEW: Final = object.__new__
_TYPE, _ID, _ATTRIBUTES, _RAW, _ANSWER, _ALONG = (
    vars(Resource)[field.name].__set__ for field in attrs.fields(Resource)
)


@lru_cache(maxsize=256)  # types are the service's to invent
def kind_of(type_name: str) -> type[Resource]:
    """Answer the class for a JSON:API type; a subtype is of its family's class."""
    name = _KINDS.get(type_name) or _KINDS.get(type_name.partition("/")[0])
    if name is None:
        return Resource
    found: type[Resource] = getattr(model, name)  # imported when it first comes
    return found


def type_of(kind: type[Resource]) -> str:
    """Answer the JSON:API type that objects of this class have, or the first of them."""
    names = (name for name, each in _KINDS.items() if each == kind.__name__)
    return next(names, "unknown")


def resource(raw: Any, answer: ResponseInfo, along: Along = ALONE) -> Resource:
    """Answer one object.

    Raises `TypeError` or `LookupError` where a type or an id is missing.
    """
    type_name = raw["type"]
    kind = kind_of(type_name)
    object_id = raw.get("id", "") if kind.nameless else raw["id"]
    if type(type_name) is not str or type(object_id) is not str:
        raise TypeError
    attributes = raw.get("attributes")
    found = _NEW(kind)
    _TYPE(found, type_name)
    _ID(found, object_id)
    _ATTRIBUTES(found, attributes if type(attributes) is dict else _NO_MAPPING)
    _RAW(found, raw)
    _ANSWER(found, answer)
    _ALONG(found, along)
    return found


def flat(
    raw: Any, kind: type[Resource], answer: ResponseInfo, along: Along
) -> Resource:
    """Answer a thing of this kind whose attributes stand beside its type and id."""
    type_name, object_id = raw["type"], raw["id"]
    if type(type_name) is not str or type(object_id) is not str:
        raise TypeError
    return kind(
        type=type_name,
        id=object_id,
        attributes=raw,
        raw=raw,
        answer=answer,
        along=along,
    )


def along(document: Mapping[str, Any], answer: ResponseInfo) -> Along:
    """Answer what came along in a document; objects are read when they are asked for."""
    if "included" not in document and "meta" not in document:
        return ALONE
    raw, meta = document.get("included"), mapping(document.get("meta"))
    if not raw:
        return Along(CODEC, _NO_MAPPING, meta)

    def made(each: Any, all_of_them: Included) -> Resource:
        return resource(each, answer, Along(CODEC, all_of_them))

    return Along(CODEC, Included(raw, made), meta)


def mapping(value: Any) -> Mapping[str, Any]:
    """Answer an object, and an empty one for anything else."""
    return value if type(value) is dict else _NO_MAPPING
