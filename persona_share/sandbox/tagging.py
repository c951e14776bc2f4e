"""Tags: add one, remove one, or set them all, alike for every family."""

from typing import Final

from persona_share.sandbox.bodies import TEXT, TEXTS, Shape
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.reading import Handler
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import changer, meta_of


ONE_TAG: Final[Shape] = {"meta": {"tag-name": TEXT, "tag-id": TEXT}}
ALL_TAGS: Final[Shape] = {"meta": {"tag-name": TEXTS, "tag-id": TEXTS}}


def tag_adder(family: str, event: str | None = None) -> Handler:
    """Answer the handler that adds a tag."""

    def add(_state: State, record: Record, body: Json) -> None:
        tags, tag = record.attributes["tags"], _one(body)
        if tag not in tags:
            tags.append(tag)

    return changer(family, add, ONE_TAG, event=event)


def tag_remover(family: str, event: str | None = None) -> Handler:
    """Answer the handler that removes a tag."""

    def remove(_state: State, record: Record, body: Json) -> None:
        tags, tag = record.attributes["tags"], _one(body)
        if tag not in tags:
            raise Problem(404, "meta.tag_name is not found")
        tags.remove(tag)

    return changer(family, remove, ONE_TAG, event=event)


def tag_setter(family: str, event: str | None = None) -> Handler:
    """Answer the handler that replaces every tag."""

    def replace(_state: State, record: Record, body: Json) -> None:
        meta = meta_of(body)
        if not meta:
            raise Problem(400, "meta.tag_name is missing")
        names = [*meta.get("tag-name", ()), *meta.get("tag-id", ())]
        record.attributes["tags"] = list(dict.fromkeys(names))

    return changer(family, replace, ALL_TAGS, event=event)


def _one(body: Json) -> str:
    """Answer the tag; an id stands for a name that only the dashboard knows."""
    meta = meta_of(body)
    name: str | None = meta.get("tag-name") or meta.get("tag-id")
    if not name:
        raise Problem(400, "meta.tag_name is missing")
    return name
