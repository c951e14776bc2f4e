"""Making JSON:API documents: ``include``, sparse ``fields``, casing, version."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.files import Files, holds_files
from persona_share.sandbox.inflection import FIELDS_STAY_SINCE, inflected
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Json, Record, Records
from persona_share.sandbox.switches import Switches


_OK: Final = 200


@attrs.frozen
class View:
    """What the query asks of a document."""

    include: tuple[str, ...] | None
    fields: Mapping[str, frozenset[str]]


def view_of(query: Iterable[tuple[str, str]]) -> View:
    """Read ``include`` and ``fields[…]``; other parameters are not its business."""
    include: tuple[str, ...] | None = None
    fields: dict[str, frozenset[str]] = {}
    for name, value in query:
        words = tuple(filter(None, (word.strip() for word in value.split(","))))
        if name == "include":
            include = words
        elif name.startswith("fields[") and name.endswith("]"):
            fields[name[7:-1]] = frozenset(words)
    return View(include, fields)


def written(document: Any, call: Call, status: int = _OK) -> Reply:
    """Answer a document in the casing that the call asks for."""
    stay = call.version >= FIELDS_STAY_SINCE
    if call.inflection != "kebab" or not stay:
        document = inflected(document, call.inflection, fields_stay=stay)
    return Reply(status, orjson.dumps(document))


class Rendering:
    """Turns records into documents for a caller."""

    def __init__(self, records: Records, files: Files, switches: Switches) -> None:
        self._records = records
        self._files = files
        self._switches = switches

    def one(
        self,
        record: Record,
        call: Call,
        *,
        status: int = _OK,
        meta: Json | None = None,
    ) -> Reply:
        """Answer the document of one object; the plain one is made once and kept."""
        modern = call.version >= FIELDS_STAY_SINCE
        if call.query or not modern or meta is not None or status != _OK:
            return self._special(record, call, status, meta)
        body = record.bodies.get((call.inflection, modern))
        if body is None:
            body = written({"data": self.resource(record)}, call).body
            # A file's URL is good for hours only, so it is made anew each time.
            if not holds_files(record.attributes):
                record.bodies[call.inflection, modern] = body
        return Reply(_OK, body)

    def resource(self, record: Record) -> Json:
        """Answer the whole resource object."""
        return _whole(record, self._files.shown(record.attributes))

    def _special(
        self, record: Record, call: Call, status: int, meta: Json | None
    ) -> Reply:
        view = view_of(call.query)
        document: Json = {"data": self._sparse(record, view)}
        paths = view.include
        if paths is None and call.version < FIELDS_STAY_SINCE:
            paths = tuple(record.relationships)
        if paths is not None:
            document["included"] = [
                self._sparse(each, view) for each in self._included(record, paths, call)
            ]
        if meta is not None:
            document["meta"] = meta
        return written(document, call, status)

    def many(self, records: Iterable[Record], links: Json | None, call: Call) -> Reply:
        """Answer the document of one page."""
        view = view_of(call.query)
        if view.include is not None:
            raise Problem(400, "include is not accepted by a list")
        document: Json = {"data": [self._sparse(record, view) for record in records]}
        if links is not None:
            document["links"] = links
        return written(document, call)

    def _included(
        self, record: Record, paths: Iterable[str], call: Call
    ) -> list[Record]:
        found: dict[str, Record] = {}
        for path in paths:
            level = [record]
            for step in path.split("."):
                level = [kin for each in level for kin in self._kin(each, step, call)]
                found.update((each.id, each) for each in level)
        return list(found.values())

    def _kin(self, record: Record, name: str, call: Call) -> list[Record]:
        if record.family == "connect":  # its answers bring nothing along
            return []
        references = record.related(name.replace("_", "-")) or ()
        found = [self._records.get(reference["id"]) for reference in references]
        return [each for each in found if each and self._may_include(each, call)]

    def _may_include(self, record: Record, call: Call) -> bool:
        caller = call.caller
        if record.owner is not caller.environment:
            return False
        if caller.token is not None and not self._switches.included_needs_pair:
            return True
        return self._records.allows(record, caller)

    def _sparse(self, record: Record, view: View) -> Json:
        wanted = view.fields.get(record.type)
        if wanted is None:
            return self.resource(record)
        names = {name.replace("_", "-") for name in wanted}
        attributes = {k: v for k, v in record.attributes.items() if k in names}
        inner = {
            name.partition(".")[2] for name in wanted if name.startswith("fields.")
        }
        if inner and "fields" not in attributes:
            fields = record.attributes.get("fields", {})
            attributes["fields"] = {k: v for k, v in fields.items() if k in inner}
        shown = self._files.shown(attributes)
        return {"type": record.type, "id": record.id, "attributes": shown}


def _whole(record: Record, attributes: Json) -> Json:
    document: Json = {"type": record.type, "id": record.id, "attributes": attributes}
    if record.relationships:
        document["relationships"] = record.relationships
    return document
