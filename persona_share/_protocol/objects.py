"""JSON:API objects: each becomes an instance of the class for its type."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from persona_share import model
from persona_share._protocol import codec
from persona_share.model.resource import Context, Resource, ResponseInfo
from persona_share.model.response import Included


#: The class of a type, or of the family that the type begins with ("report/…").
_KINDS: Final[Mapping[str, str]] = {
    "account": "Account",
    "account-type": "AccountType",
    "api-key": "ApiKey",
    "api-log": "ApiLog",
    "batch-job": "BatchJob",
    "batch-job-row-error": "BatchJobError",
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
    "inquiry-template": "InquiryTemplate",
    "rate-limit": "RateLimit",
    "report": "Report",
    "transaction": "Transaction",
    "transaction-type": "TransactionType",
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
    "webhook": "Webhook",
    "webhook-event": "WebhookEvent",
    "workflow-run": "WorkflowRun",
    "workflow-version": "WorkflowVersion",
}
_NO_MAPPING: Final[Mapping[Any, Any]] = {}


class ObjectCodec:
    """The codec of every object of the API."""

    hook_for: Callable[[Any], codec.Hook] = staticmethod(codec.hook_for)

    def nested(self, document: Any, answer: ResponseInfo) -> Resource:
        """Return the object of a document inside another object.

        Raises `TypeError` or `LookupError` if there is none.
        """
        return resource(document["data"], answer, context_of(document, answer))

    def __reduce__(self) -> str:
        return "CODEC"  # pickled by name

    def __repr__(self) -> str:
        return "<codec>"


CODEC: Final = ObjectCodec()
#: The context of most responses: nothing is included.
EMPTY_CONTEXT: Final = Context(CODEC)


@lru_cache(maxsize=256)  # the service may invent types
def kind_of(type_name: str) -> type[Resource]:
    """Return the class for a JSON:API type; a subtype falls back to its family."""
    name = _KINDS.get(type_name) or _KINDS.get(type_name.partition("/")[0])
    if name is None:
        return Resource
    found: type[Resource] = getattr(model, name)  # imported on first use
    return found


def type_of(kind: type[Resource]) -> str:
    """Return the first JSON:API type whose objects are of this class."""
    names = (name for name, each in _KINDS.items() if each == kind.__name__)
    return next(names, "unknown")


def resource(
    raw: Any, answer: ResponseInfo, context: Context = EMPTY_CONTEXT
) -> Resource:
    """Build one object.

    Raises `TypeError` or `LookupError` if its type or id is missing.
    """
    type_name = raw["type"]
    kind = kind_of(type_name)
    object_id = raw.get("id", "") if kind._id_optional else raw["id"]  # noqa: SLF001
    if type(type_name) is not str or type(object_id) is not str:
        raise TypeError
    return kind(
        type=type_name,
        id=object_id,
        attributes=mapping(raw.get("attributes")),
        raw=raw,
        answer=answer,
        context=context,
    )


def flat(
    raw: Any, kind: type[Resource], answer: ResponseInfo, context: Context
) -> Resource:
    """Build an object whose attributes stand beside its type and id."""
    type_name, object_id = raw["type"], raw["id"]
    if type(type_name) is not str or type(object_id) is not str:
        raise TypeError
    return kind(
        type=type_name,
        id=object_id,
        attributes=raw,
        raw=raw,
        answer=answer,
        context=context,
    )


def context_of(document: Mapping[str, Any], answer: ResponseInfo) -> Context:
    """Return what the objects of a document share; included ones are built on use."""
    if "included" not in document and "meta" not in document:
        return EMPTY_CONTEXT
    raw, meta = document.get("included"), mapping(document.get("meta"))
    if not raw:
        return Context(CODEC, _NO_MAPPING, meta)
    return Context(CODEC, Included(raw, answer, _included), meta)


def _included(raw: Any, answer: ResponseInfo, included: Included) -> Resource:
    return resource(raw, answer, Context(CODEC, included))


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return value if type(value) is dict else _NO_MAPPING
