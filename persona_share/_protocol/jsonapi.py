"""JSON:API documents, decoded to an `ApiResponse`, a `Page`, or one object."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from persona_share import model
from persona_share._protocol import codec, errors
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.json import parse_json
from persona_share._protocol.query import (
    AFTER,
    BEFORE,
    InvalidLink,
    ListLocation,
    cursor_in,
)
from persona_share.errors import MalformedResponseError
from persona_share.model.resource import Context, Resource, ResponseInfo
from persona_share.model.response import ApiResponse, Cursor, Included, Page


# ── Objects ───────────────────────────────────────────────────────────────────


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

    def nested(self, document: Any, info: ResponseInfo) -> Resource:
        """Return the object of a document inside another object.

        Raises `TypeError` or `LookupError` if there is none.
        """
        return resource(document["data"], info, context_of(document, info))

    def __reduce__(self) -> str:
        return "CODEC"  # pickled by name

    def __repr__(self) -> str:
        return "<codec>"


CODEC: Final = ObjectCodec()
#: The context of most responses: nothing is included.
EMPTY_CONTEXT: Final = Context(CODEC)


@lru_cache(maxsize=256)  # Persona may add types
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
    raw: Any,
    info: ResponseInfo,
    context: Context = EMPTY_CONTEXT,
    kind: type[Resource] | None = None,
) -> Resource:
    """Build one object, of the class for its type unless ``kind`` is given.

    Raises `TypeError` or `LookupError` if its type or id is missing.
    """
    type_name = raw["type"]
    kind = kind or kind_of(type_name)
    object_id = raw.get("id", "") if kind._id_optional else raw["id"]  # noqa: SLF001  # its class says so
    if type(type_name) is not str or type(object_id) is not str:
        raise TypeError
    attributes = raw if kind._flat else raw.get("attributes")  # noqa: SLF001  # as above
    return kind(
        type=type_name,
        id=object_id,
        attributes=attributes if type(attributes) is dict else _NO_MAPPING,
        raw=raw,
        response_info=info,
        context=context,
    )


def context_of(document: Mapping[str, Any], info: ResponseInfo) -> Context:
    """Return the context of a document's objects; included objects are built lazily."""
    if "included" not in document and "meta" not in document:
        return EMPTY_CONTEXT
    raw, meta = document.get("included"), mapping(document.get("meta"))
    if not raw:
        return Context(CODEC, _NO_MAPPING, meta)
    return Context(CODEC, Included(raw, info, _included), meta)


def _included(raw: Any, info: ResponseInfo, included: Included) -> Resource:
    return resource(raw, info, Context(CODEC, included))


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return value if type(value) is dict else _NO_MAPPING


# ── Documents ─────────────────────────────────────────────────────────────────


R = TypeVar("R", bound=Resource)

# Error reports may show the locals of the traceback's frames. So the functions that hold
# a part of the body return an error, and others, whose frames hold none, raise it.
_UNREADABLE: Final = (TypeError, LookupError, AttributeError)


def document(request: Request, response: Response) -> ApiResponse:
    """Read any successful response; raises `MalformedResponseError`."""
    found = _document(request, response)
    if isinstance(found, MalformedResponseError):
        raise found
    return found


def _document(
    request: Request, response: Response
) -> ApiResponse | MalformedResponseError:
    info = ResponseInfo(response.headers)
    if not response.body:
        return ApiResponse(response_info=info, status=response.status)
    if request.expects is Expects.PDF:
        return ApiResponse(
            response_info=info, status=response.status, content=response.body
        )
    raw = _json_object(response)
    if raw is None:
        return _not_an_object(request, response)
    context, data = context_of(raw, info), raw.get("data")
    found: Resource | tuple[Resource, ...] | None = None
    try:
        if isinstance(data, list):
            found = tuple(resource(each, info, context) for each in data)
        elif data is not None:
            found = resource(data, info, context)
    except _UNREADABLE:
        return _no_type_or_id(request, response)
    return ApiResponse(
        data=found,
        included=context.included,
        links=mapping(raw.get("links")),
        meta=context.meta,
        response_info=info,
        status=response.status,
        raw=raw,
    )


def one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R:
    """Return the requested object.

    Raises `MalformedResponseError` for any other object, so that the response of another
    request is never returned.
    """
    found = _one(request, response, kind, object_id)
    if isinstance(found, MalformedResponseError):
        raise found
    return found


def _one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R | MalformedResponseError:
    raw = _json_object(response)
    if raw is None:
        return _not_an_object(request, response)
    info = ResponseInfo(response.headers)
    try:
        found = resource(raw["data"], info, context_of(raw, info))
    except _UNREADABLE:
        return _no_type_or_id(request, response)
    if not isinstance(found, kind):
        reason = f"the response is not one {kind.__name__}"
        return errors.malformed(request, response, reason)
    if object_id is not None and found.id != object_id:
        reason = "the response contains a different object than requested"
        return errors.malformed(request, response, reason)
    return found


def page(
    request: Request, response: Response, kind: type[R], location: ListLocation
) -> Page[R]:
    """Return one page of a listing of this kind of object.

    Raises `MalformedResponseError` for any other document. An invalid link raises it
    only when it is followed.
    """
    found = _page(request, response, kind, location)
    if isinstance(found, MalformedResponseError):
        raise found
    return found


def _page(
    request: Request, response: Response, kind: type[R], location: ListLocation
) -> Page[R] | MalformedResponseError:
    raw = _json_object(response)
    if raw is None:
        return _not_an_object(request, response)
    info = ResponseInfo(response.headers)
    context, data = context_of(raw, info), raw.get("data")
    if not isinstance(data, list):
        return errors.malformed(request, response, "the response is not a list")
    try:
        own = kind if kind._flat else None  # noqa: SLF001  # its types are not object types
        items = [resource(each, info, context, own) for each in data]
    except _UNREADABLE:
        return _no_type_or_id(request, response)
    found = tuple(each for each in items if isinstance(each, kind))
    if len(found) != len(items):
        reason = f"the response contains objects other than {kind.__name__}"
        return errors.malformed(request, response, reason)
    links = mapping(raw.get("links"))

    def cursor(name: str, wanted: str) -> Cursor:
        found = cursor_in(links.get(name), wanted, location)
        if isinstance(found, InvalidLink):
            return errors.malformed(request, response, found.value)
        return found

    return Page(
        items=found,
        included=context.included,
        meta=context.meta,
        response_info=info,
        raw=raw,
        after=cursor("next", AFTER),
        before=cursor("prev", BEFORE),
    )


def _json_object(response: Response) -> dict[str, Any] | None:
    try:
        raw: Any = parse_json(response.body)
    except ValueError:
        return None
    return raw if isinstance(raw, dict) else None


def _not_an_object(request: Request, response: Response) -> MalformedResponseError:
    return errors.malformed(request, response, "the body is not a JSON object")


def _no_type_or_id(request: Request, response: Response) -> MalformedResponseError:
    return errors.malformed(request, response, "an object has no valid type and id")
