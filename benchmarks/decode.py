"""Decoding one inquiry of about 9 kB: to a typed value, against what others need.

The body is an inquiry as the sandbox makes it. msgspec and pydantic (group ``bench``)
are given models of the same attributes; where they are not installed their lines are
left out.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import aiohttp
import orjson

from benchmarks.figure import Figure, Figures
from benchmarks.timing import paired
from persona_share._protocol import jsonapi
from persona_share._protocol.http import Request, Response
from persona_share.model.attribute import Attribute
from persona_share.model.inquiry import Inquiry
from persona_share.sandbox import Sandbox


ROUNDS: Final = 31
REPEATS: Final = 100
FIVE: Final = ("status", "reference_id", "created_at", "fields", "tags")
EVERY: Final = tuple(
    name
    for kind in reversed(Inquiry.__mro__)
    for name, each in vars(kind).items()
    if isinstance(each, Attribute)
)

_REQUEST: Final = Request(
    method="GET", route="/inquiries/{inquiry-id}", target="/inquiries/inq_1", deadline=0
)

Work = Callable[[bytes], object]


def figures() -> Figures:
    """Return the time of each decoder as a multiple of json.loads, in alternating runs."""
    body = asyncio.run(_body())
    response = Response(status=200, headers={"request-id": "req_1"}, body=body)
    ways: dict[str, tuple[Callable[[Response], object], float]] = {
        "five attributes read": (_five, 0.5),
        "every attribute read": (_every, 1.0),
        "every attribute and every field's value read": (_every_value, 1.0),
    }
    for name, (work, goal) in ways.items():
        ours = partial(work, response)
        yield _figure(f"decode 9 kB inquiry, {name}", ours, body, goal)
    for name, work in {"orjson.loads": orjson.loads, **_peers()}.items():
        theirs = partial(work, body)
        yield _figure(
            f"decode 9 kB inquiry, for comparison: {name}", theirs, body, None
        )


def _figure(
    name: str, work: Callable[[], object], body: bytes, goal: float | None
) -> Figure:
    yardstick = partial(_often, partial(json.loads, body))
    pair = paired(partial(_often, work), yardstick, ROUNDS)
    return Figure(
        name=name,
        unit="us",
        ours=round(pair.ours / REPEATS * 1e6, 2),
        yardstick=round(pair.yardstick / REPEATS * 1e6, 2),
        compared_with="json.loads",
        at_most=goal,
    )


def _often(work: Callable[[], object]) -> None:
    for _ in range(REPEATS):
        work()


def _inquiry(response: Response) -> Inquiry:
    return jsonapi.one(_REQUEST, response, Inquiry, None)


def _five(response: Response) -> object:
    inquiry = _inquiry(response)
    return [getattr(inquiry, name) for name in FIVE]


def _every(response: Response) -> object:
    inquiry = _inquiry(response)
    return [getattr(inquiry, name) for name in EVERY]


def _every_value(response: Response) -> object:
    inquiry = _inquiry(response)
    return [getattr(inquiry, name) for name in EVERY], inquiry.values


async def _body() -> bytes:
    """Return the body of an inquiry as the sandbox sends it."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        inquiry = sandbox.add_inquiry()
        headers = {
            "Authorization": f"Bearer {sandbox.source.api_key}",
            "Key-Inflection": "kebab",
        }
        url = f"{sandbox.url}/inquiries/{inquiry.id}"
        async with session.get(url, headers=headers) as response:
            return await response.read()


#: The attributes of an inquiry for those who need a model of all of them.
_MODEL: Final[dict[str, Any]] = {
    "status": str | None,
    "reference-id": str | None,
    "note": str | None,
    "tags": list[str] | None,
    "creator": str | None,
    "reviewer-comment": str | None,
    "previous-step-name": str | None,
    "next-step-name": str | None,
    "behaviors": dict[str, Any] | None,
    "fields": dict[str, dict[str, Any]] | None,
    **dict.fromkeys(
        (
            "created-at",
            "updated-at",
            "started-at",
            "expires-at",
            "completed-at",
            "failed-at",
            "marked-for-review-at",
            "decisioned-at",
            "expired-at",
            "redacted-at",
        ),
        datetime | None,
    ),
}


def _peers() -> dict[str, Work]:
    """Return which of msgspec and pydantic are installed."""
    found: dict[str, Work] = {}
    if find_spec("msgspec"):
        found["msgspec struct"] = _msgspec()
    if find_spec("pydantic"):
        found["pydantic model"] = _pydantic()
    return found


def _msgspec() -> Work:
    import msgspec  # noqa: PLC0415 — only where it is installed

    def struct(name: str, fields: dict[str, Any]) -> Any:
        rename = {each.replace("-", "_"): each for each in fields}
        parts = [(each.replace("-", "_"), kind, None) for each, kind in fields.items()]
        return msgspec.defstruct(name, parts, rename=rename)

    attributes = struct("Attributes", _MODEL)
    data = struct("Data", {"type": str, "id": str, "attributes": attributes})
    decoder = msgspec.json.Decoder(struct("Answer", {"data": data}))
    return decoder.decode


def _pydantic() -> Work:
    import pydantic  # noqa: PLC0415 — only where it is installed

    def model(name: str, fields: dict[str, Any]) -> Any:
        parts: dict[str, Any] = {
            each.replace("-", "_"): (kind, pydantic.Field(None, alias=each))
            for each, kind in fields.items()
        }
        return pydantic.create_model(name, **parts)

    attributes = model("Attributes", _MODEL)
    data = model("Data", {"type": str, "id": str, "attributes": attributes})
    return model("Answer", {"data": data}).model_validate_json
