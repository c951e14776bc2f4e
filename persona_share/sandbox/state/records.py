"""Objects, files, connections and share tokens that a sandbox keeps."""

from collections.abc import Collection, Iterator, Mapping
from itertools import count
from typing import Any, Final
from urllib.parse import urlencode

import attrs

from persona_share.model.ids import checked_id
from persona_share.sandbox.behavior.switches import Limits, Switches, drop_oldest
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.runtime import Runtime
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.requests import Caller


#: The prefix of a file's access token.
PREFIX: Final = "localbox_file_"


@attrs.frozen(eq=False)
class StoredFile:
    """One file; responses show its name, URL and size."""

    id: str
    filename: str
    content: bytes = attrs.field(repr=False)
    media_type: str = "application/octet-stream"


@attrs.frozen(eq=False)
class FileUrl:
    """A value of an object that responses show as the URL of a file."""

    file: StoredFile


class Files:
    """Every file by its path on the second host."""

    def __init__(self, runtime: Runtime, switches: Switches, limit: int) -> None:
        self._runtime = runtime
        self._switches = switches
        self._limit = limit
        self._size = 0
        self._by_path: dict[str, StoredFile] = {}
        #: The origin of the file server, known once its socket is bound.
        self.origin = ""

    def add(
        self, filename: str, content: bytes, media_type: str = "image/png"
    ) -> StoredFile:
        """Store a file; its path is its id and the ending of its name."""
        file = StoredFile(self._runtime.new_id("file"), filename, content, media_type)
        self._by_path[_path(file)] = file
        self._size += len(content)
        while self._size > self._limit:
            self._drop(next(iter(self._by_path)))
        return file

    def _drop(self, path: str) -> None:
        file = self._by_path.pop(path, None)
        self._size -= 0 if file is None else len(file.content)

    def clear(self) -> None:
        """Drop all files."""
        self._by_path.clear()
        self._size = 0

    def find(self, path: str) -> StoredFile | None:
        """Return the file of a path."""
        return self._by_path.get(path)

    def forget(self, value: Any) -> None:
        """Drop every file in this value."""
        if isinstance(value, FileUrl):
            value = value.file
        if isinstance(value, StoredFile):
            self._drop(_path(value))
        elif isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                self.forget(each)

    def with_urls(self, value: Any) -> Any:
        """Return a value with a new URL for every file in it."""
        if isinstance(value, dict):
            return {name: self.with_urls(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.with_urls(each) for each in value]
        if isinstance(value, FileUrl):
            return self._url(value.file)
        if isinstance(value, StoredFile):
            return {
                "filename": value.filename,
                "url": self._url(value),
                "byte-size": len(value.content),
            }
        return value

    def access_error_status(self, path: str, access_token: str) -> int | None:
        """Return the error status for a file token, or None if it is valid."""
        until, _, _ = access_token.removeprefix(PREFIX).partition("_")
        if not until.isdigit() or access_token != self._token(path, int(until[:15])):
            return self._switches.foreign_file_status
        if self._runtime.now() >= int(until):
            return self._switches.expired_file_status
        return None

    def _url(self, file: StoredFile) -> str:
        path = _path(file)
        until = int(self._runtime.now() + self._switches.file_lifetime)
        query = urlencode({"access_token": self._token(path, until)})
        return f"{self.origin}{path}?{query}"

    def _token(self, path: str, until: int) -> str:
        return f"{PREFIX}{until}_{self._runtime.digest(f'{path} {until}')}"


def contains_files(value: Any) -> bool:
    """Return whether there is a file in this value."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return any(contains_files(each) for each in inner)
    return isinstance(value, StoredFile | FileUrl)


def _path(file: StoredFile) -> str:
    _, dot, ending = file.filename.rpartition(".")
    tail = f".{ending}" if dot and ending.isalnum() and ending.isascii() else ""
    return f"/{file.id}{tail}"


Json = dict[str, Any]

_NOT_FOUND: Final = 404
#: Families whose permission has another name. The permissions of sessions, devices,
#: templates and types of transactions are not documented.
PERMISSIONS_OF: Final = {
    "device": "inquiry",
    "inquiry-session": "inquiry",
    "account-type": "account_type",
    "api-key": "api_key",
    "api-log": "api_log",
    "case-comment": "case",
    "case-template": "case_template",
    "inquiry-template": "inquiry_template",
    "inquiry-template-version": "inquiry_template",
    "transaction": "txn",
    "transaction-type": "transaction_type",
    "webhook-event": "webhook",
    "workflow-version": "workflow",
    "workflow-run": "workflow",
}
_FAMILIES_OF: Final = {
    "inquiry": ("inquiry", "inquiry-session", "device"),
    "txn": ("transaction",),
}


@attrs.frozen
class ObjectRef:
    """The id and the type of an object that was added to the sandbox."""

    id: str
    type: str


@attrs.define(eq=False)
class Record:
    """One object with kebab-case keys, and its cached response bodies."""

    id: str
    type: str
    attributes: Json
    relationships: dict[str, Json]
    owner: Environment
    #: Ids whose permission also covers this object, such as the inquiry of a session.
    parents: tuple[str, ...] = ()
    #: Data that no response contains, such as relations and history.
    internal: Json = attrs.field(factory=dict)
    number: int = 0
    changed_at: float = 0.0
    cached_bodies: dict[tuple[str, bool], bytes] = attrs.field(factory=dict)

    @property
    def family(self) -> str:
        """Return the first part of the type: ``verification`` of ``verification/selfie``."""
        return self.type.partition("/")[0]

    @property
    def identifier(self) -> Json:
        """Return the resource identifier object, as relationships contain it."""
        return {"type": self.type, "id": self.id}

    def invalidate(self) -> None:
        """Drop the cached bodies after a change."""
        self.cached_bodies.clear()

    def related(self, name: str) -> list[Mapping[str, str]] | None:
        """Return the references of one relationship, None where there is none."""
        if name not in self.relationships:
            return None
        data = self.relationships[name].get("data")
        many = data if isinstance(data, list) else [data]
        return [reference for reference in many if reference]

    def allows(self, caller: Caller, verb: str, *, with_inquiry: bool) -> bool:
        """Return whether the caller has this verb's permission on this object."""
        permission = permission_of(self.family, verb)
        covering = (self.id, *self.parents) if with_inquiry else (self.id,)
        return any(caller.may(permission, each) for each in covering)


def permission_of(family: str, verb: str) -> str:
    """Return the permission that a verb needs on objects of a family."""
    return f"{PERMISSIONS_OF.get(family, family)}.{verb}"


class Records:
    """Every object, by id and by family, in the order of creation."""

    def __init__(self, switches: Switches, limits: Limits) -> None:
        self._switches = switches
        self._limits = limits
        self._by_id: dict[str, Record] = {}
        self._by_family: dict[str, dict[str, Record]] = {}
        self._numbers = count()

    def add(self, record: Record) -> ObjectRef:
        """Store an object; its id must be new."""
        if checked_id(record.id) in self._by_id:
            message = "there is an object of this id already"
            raise ValueError(message)
        record.number = next(self._numbers)
        self._by_id[record.id] = record
        family = self._by_family.setdefault(record.family, {})
        family[record.id] = record
        events = record.family in {"event", "webhook-event"}
        if len(family) > (self._limits.events if events else self._limits.objects):
            oldest = next(iter(family))
            del family[oldest], self._by_id[oldest]
        return ObjectRef(record.id, record.type)

    def clear(self) -> None:
        """Drop all objects."""
        self._by_id.clear()
        self._by_family.clear()

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_id.values())

    def get(self, object_id: str) -> Record | None:
        """Return the object with this ID, of any owner."""
        return self._by_id.get(object_id)

    def of_family(self, family: str) -> Collection[Record]:
        """Return the objects of a family, oldest first."""
        return self._by_family.get(family, {}).values()

    def owned(self, family: str, object_id: str, owner: Environment) -> Record | None:
        """Return the object if it is of this family and belongs to this owner."""
        record = self._by_id.get(object_id)
        if record is None or record.family != family or record.owner is not owner:
            return None
        return record

    def scope_target_exists(
        self, word: str, object_id: str, owner: Environment
    ) -> bool:
        """Return whether the owner has an object that this permission applies to."""
        families = _FAMILIES_OF.get(word, (word,))
        return any(self.owned(family, object_id, owner) for family in families)

    def authorized(
        self, family: str, object_id: str, caller: Caller, verb: str = "read"
    ) -> Record:
        """Return an object that the caller may read or write.

        Raises:
            ApiError: 404 for a missing object; the status of a switch for a missing
                permission, which is checked first.
        """
        record = self.owned(family, object_id, caller.environment)
        if record is None:
            allowed = caller.may(permission_of(family, verb), object_id)
        else:
            allowed = self.allows(record, caller, verb)
        if not allowed:
            raise self.permission_error(family, caller)
        if record is None:
            raise ApiError(404)
        return record

    def allows(self, record: Record, caller: Caller, verb: str = "read") -> bool:
        """Return whether the caller has this verb's permission on this object."""
        with_inquiry = self._switches.sessions_come_with_inquiry
        return record.allows(caller, verb, with_inquiry=with_inquiry)

    def permission_error(self, family: str, caller: Caller) -> ApiError:
        """Return the error for a missing permission."""
        switches = self._switches
        if caller.token is not None:
            status = switches.out_of_scope_status
        elif family.startswith("inquiry-template"):
            status = switches.template_permission_status
        else:
            status = switches.missing_permission_status
        details = "the credential does not have this permission"
        return ApiError(status, None if status == _NOT_FOUND else details)

    def listed(self, family: str, caller: Caller) -> Iterator[Record]:
        """Yield the objects that the caller may list, newest first."""
        permission, token = permission_of(family, "read"), caller.token
        if token is not None:
            forbidden = self._switches.scoped_lists == "forbidden"
            if forbidden or not token.allows_some(permission):
                raise ApiError(403, "the access token does not allow this list")
        elif not caller.may(permission, ""):
            raise self.permission_error(family, caller)
        for record in reversed(self._by_family.get(family, {}).values()):
            if record.owner is caller.environment and self.allows(record, caller):
                yield record


#: The status of a connection that only share tokens still refer to.
ARCHIVED: Final = "archived"


@attrs.define(eq=False, kw_only=True)
class Connection:
    """One connection; it belongs to whole organizations, not to environments."""

    id: str
    source_id: str
    destination_id: str
    creator: Json
    created_at: float
    updated_at: float
    status: str = "pending"
    #: Counts offers, so that a late acceptance applies only to its own offer.
    offer_number: int = 0

    def concerns(self, caller: Caller) -> bool:
        """Return whether the caller's organization is the source or the destination."""
        return caller.organization_id in (self.source_id, self.destination_id)


@attrs.define(eq=False, kw_only=True)
class ShareToken:
    """One share token; its id is what the destination redeems."""

    id: str
    connection: Connection
    source: Record
    creator: Json
    created_at: float
    updated_at: float
    expires_at: float
    status: str = "created"
    pending_at: float | None = None
    redeemed_at: float | None = None
    failed_at: float | None = None
    failure_reason: str | None = None
    redeem_mode: str | None = None
    #: The environment that redeems and owns the new objects.
    redeemer: Environment | None = None
    destination: Json | None = None
    mappings: tuple[tuple[str, str], ...] = ()

    @property
    def owner(self) -> Environment:
        """Return the environment that the source object is in."""
        return self.source.owner

    def is_source(self, caller: Caller) -> bool:
        """Return whether the caller is the source."""
        return caller.environment is self.owner

    def is_destination(self, caller: Caller) -> bool:
        """Return whether the caller is the destination, in any environment."""
        return caller.organization_id == self.connection.destination_id

    def visible_to(self, caller: Caller) -> bool:
        """Return whether the caller can see this share token."""
        same_kind = caller.environment.kind == self.owner.kind
        return self.is_source(caller) or (self.is_destination(caller) and same_kind)


class Sharing:
    """Connections and share tokens by ID, in the order of creation."""

    def __init__(self, limit: int) -> None:
        self.connections: dict[str, Connection] = {}
        self.share_tokens: dict[str, ShareToken] = {}
        self._limit = limit

    def clear(self) -> None:
        """Drop all connections and share tokens."""
        self.connections.clear()
        self.share_tokens.clear()

    def add_connection(self, connection: Connection) -> None:
        """Store a connection."""
        self.connections[connection.id] = connection
        drop_oldest(self.connections, self._limit)

    def add_share_token(self, token: ShareToken) -> None:
        """Store a share token."""
        self.share_tokens[token.id] = token
        drop_oldest(self.share_tokens, self._limit)

    def connections_of(self, caller: Caller) -> Iterator[Connection]:
        """Yield the caller's connections, newest first."""
        for connection in reversed(self.connections.values()):
            if connection.concerns(caller) and connection.status != ARCHIVED:
                yield connection

    def share_tokens_of(self, caller: Caller) -> Iterator[ShareToken]:
        """Yield the share tokens that the caller sees, newest first."""
        for token in reversed(self.share_tokens.values()):
            if token.visible_to(caller):
                yield token
