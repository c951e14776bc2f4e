"""Planned faults: effect, operation and number of times."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import attrs
import orjson

from persona_share.sandbox.responses import ApiError, Response, rate_limit_details
from persona_share.sandbox.runtime import Random


#: The one operation of the file server, in faults and in the log.
FILE_OPERATION: Final = "GET (file)"
#: A webhook delivery, in faults and in the log.
WEBHOOK_OPERATION: Final = "POST (webhook)"
_OTHER_OPERATIONS: Final = frozenset({"*", FILE_OPERATION, WEBHOOK_OPERATION})


class Effect(Enum):
    """The effect of a fault."""

    ANSWER = "respond before the idempotency layer"
    STORED_ANSWER = "respond as if the operation had"
    LOSE_ANSWER = "run the operation, then close the connection"
    CUT = "close the connection before running the operation"
    DELAY = "run the operation late"
    HANG = "never run the operation"
    HANG_ACTED = "run the operation, then never respond"
    TRUNCATE = "send half of the body"
    OVERSIZE = "send more bytes than announced"
    FAIL_REDEMPTION = "fail a redemption"
    REAL_PAYLOAD = "send a document as irregular as real ones"


@attrs.define(eq=False)
class Fault:
    """One planned fault; ``times`` of None means forever."""

    effect: Effect
    operation: str
    times: int | None = 1
    response: Response | None = None
    seconds: float = 0.0
    size: int = 0
    reason: str = ""


@attrs.define(eq=False)
class _RandomFaults:
    rate: float
    kinds: tuple[str | int, ...]
    random: Random
    operation: str


@attrs.define(eq=False)
class RequestFaults:
    """The faults of one request."""

    _faults: "Faults"
    _operation: str
    _drawn: Fault | None

    def take(self, effect: Effect) -> Fault | None:
        """Return the next fault of this effect and use it up."""
        if self._drawn is not None and self._drawn.effect is effect:
            drawn, self._drawn = self._drawn, None
            return drawn
        return self._faults.take(self._operation, effect)


class Faults:
    """Plans faults by operation: ``"POST /oauth/token"``, or ``"*"`` for all of them.

    An operation is a method and a documented path with its parameter names. An
    operation that the sandbox does not serve raises ValueError.
    """

    def __init__(self, operations: Collection[str]) -> None:
        #: The operations that can fail.
        self.operations: Collection[str] = operations
        self._planned: list[Fault] = []
        self._random: _RandomFaults | None = None
        self._release = asyncio.Event()

    def answer(
        self,
        operation: str,
        status: int,
        *,
        title: str | None = None,
        details: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: object = None,
        times: int | None = 1,
        stored: bool = False,
    ) -> None:
        """Respond with this status and do not run the operation.

        A ``body`` is sent unchanged (bytes, text) or as JSON; without a body, the error has
        Persona's format. A header of None is left out. ``stored=True`` passes through
        the idempotency layer, which stores it like a real outcome. Raises `ValueError`
        for a status that no final response has.
        """
        if not 200 <= status <= 999:  # noqa: PLR2004  # HTTP has three digits, and 1xx is not final
            message = f"a response has a status from 200 to 999, not {status}"
            raise ValueError(message)
        response = _response(status, title, details, headers, body)
        effect = Effect.STORED_ANSWER if stored else Effect.ANSWER
        self._plan(Fault(effect, operation, times, response=response))

    def lose_answer(self, operation: str, times: int | None = 1) -> None:
        """Run the operation, store the outcome, and close the connection."""
        self._plan(Fault(Effect.LOSE_ANSWER, operation, times))

    def cut(self, operation: str, times: int | None = 1) -> None:
        """Close the connection and do not run the operation."""
        self._plan(Fault(Effect.CUT, operation, times))

    def delay(self, operation: str, seconds: float, times: int | None = 1) -> None:
        """Run the operation this many real seconds late.

        A duplicate that arrives in the meantime finds an unfinished request.
        """
        self._plan(Fault(Effect.DELAY, operation, times, seconds=seconds))

    def hang(
        self, operation: str, times: int | None = 1, *, acted: bool = False
    ) -> None:
        """Do not respond until `release` or the end; ``acted`` runs the operation."""
        effect = Effect.HANG_ACTED if acted else Effect.HANG
        self._plan(Fault(effect, operation, times))

    def truncate(self, operation: str, times: int | None = 1) -> None:
        """Run the operation, then send half of the announced body."""
        self._plan(Fault(Effect.TRUNCATE, operation, times))

    def oversize(self, size: int, times: int | None = 1) -> None:
        """Let the file server send this many bytes without announcing them."""
        self._plan(Fault(Effect.OVERSIZE, FILE_OPERATION, times, size=size))

    def redirect(self, location: str, times: int | None = 1) -> None:
        """Let the file server redirect the client."""
        self.answer(FILE_OPERATION, 302, headers={"Location": location}, times=times)

    def fail_redemption(self, reason: str, times: int | None = 1) -> None:
        """Fail the next redemption with this ``failure-reason``."""
        self._plan(Fault(Effect.FAIL_REDEMPTION, "*", times, reason=reason))

    def real_payload(self, operation: str, times: int | None = 1) -> None:
        """Send a document with the irregularities of real ones.

        Dates that are null become empty strings, and an included object has no id. The
        operation may be ``"POST (webhook)"``, a webhook delivery.
        """
        self._plan(Fault(Effect.REAL_PAYLOAD, operation, times))

    def random(
        self,
        rate: float,
        seed: int,
        kinds: Sequence[str | int] = ("cut", "lose_answer", "truncate", 500, 503),
        *,
        operation: str = "*",
    ) -> None:
        """Fail this share of the requests in one of these ways.

        A number is the status of an error response; a word is ``cut``,
        ``lose_answer``, ``truncate``, ``hang`` or ``stored_500``.
        """
        self._check(operation)
        for kind in kinds:
            fault_of(kind)
        self._random = _RandomFaults(rate, tuple(kinds), Random(seed), operation)

    def clear(self) -> None:
        """Remove every planned fault; hanging requests keep hanging."""
        self._planned.clear()
        self._random = None

    def release(self) -> None:
        """Let every hanging request continue."""
        self._release.set()
        self._release = asyncio.Event()

    @property
    def planned(self) -> tuple[Fault, ...]:
        """Return the planned faults that are not used up."""
        return tuple(self._planned)

    @property
    def pending(self) -> int:
        """Return the number of planned faults that are not used up."""
        return len(self._planned)

    async def wait_for_release(self) -> None:
        """Wait for the next release."""
        await self._release.wait()

    def for_request(self, operation: str) -> RequestFaults:
        """Return the faults of one request."""
        random, drawn = self._random, None
        if (
            random is not None
            and random.operation in ("*", operation)
            and random.random.random() < random.rate
        ):
            drawn = fault_of(random.random.choice(random.kinds))
        return RequestFaults(self, operation, drawn)

    def take(self, operation: str, effect: Effect) -> Fault | None:
        """Return the first planned fault that fits and use it up."""
        for position, fault in enumerate(self._planned):
            if fault.effect is effect and fault.operation in ("*", operation):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        del self._planned[position]
                return fault
        return None

    def _plan(self, fault: Fault) -> None:
        self._check(fault.operation)
        self._planned.append(fault)

    def _check(self, operation: str) -> None:
        """Refuse an operation that is not served: its fault would never happen."""
        if operation not in _OTHER_OPERATIONS and operation not in self.operations:
            message = f"the sandbox serves no operation {operation!r}"
            raise ValueError(message)


def real_payload(document: Any) -> Any:
    """Return a document with the irregularities of `Faults.real_payload`."""
    if not isinstance(document, dict) or "data" not in document:
        return document
    document = {name: _with_empty_dates(each) for name, each in document.items()}
    included = document.get("included") or [{"type": "verification/government-id"}]
    without_id = {k: v for k, v in included[0].items() if k != "id"}
    return {**document, "included": [*document.get("included", ()), without_id]}


def _with_empty_dates(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _with_empty_dates(each, k) for k, each in value.items()}
    if isinstance(value, list):
        return [_with_empty_dates(each, name) for each in value]
    is_date = name.endswith(("-at", "_at", "At", "date", "Date"))
    return "" if value is None and is_date else value


def fault_of(kind: str | int) -> Fault:
    """Return the fault for the name of a kind, or for the status of a response."""
    if isinstance(kind, int):
        response = _response(kind, None, None, None, None)
        return Fault(Effect.ANSWER, "*", response=response)
    if kind == "stored_500":
        response = _response(500, None, None, None, None)
        return Fault(Effect.STORED_ANSWER, "*", response=response)
    effects = {
        "cut": Effect.CUT,
        "lose_answer": Effect.LOSE_ANSWER,
        "truncate": Effect.TRUNCATE,
        "hang": Effect.HANG,
    }
    if kind not in effects:
        message = f"{kind!r} is not a kind of fault"
        raise ValueError(message)
    return Fault(effects[kind], "*")


def _response(
    status: int,
    title: str | None,
    details: str | None,
    headers: Mapping[str, str | None] | None,
    body: Any,
) -> Response:
    headers = dict(headers or {})
    if status == HTTPStatus.TOO_MANY_REQUESTS and title is None:
        details = details or rate_limit_details(300)
        headers = {"RateLimit-Remaining": "0"} | headers
    if body is None:
        body = (
            ApiError(status, details or "injected fault", title=title).response().body
        )
    elif isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = orjson.dumps(body)
    return Response(status, body, headers)
