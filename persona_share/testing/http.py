"""HTTP without a network: scripted responses, and options for vcrpy and aioresponses."""

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import Any, Final

import aiohttp
from yarl import URL

from persona_share._protocol.http import Request, Response


Answer = Response | BaseException | Callable[[Request], Response | Awaitable[Response]]


class ScriptedSender:
    """A `Sender` that returns one response after another and keeps the requests.

    An answer is a response, an exception to raise, or a callable that is given the
    request. After the last one it raises `AssertionError`.
    """

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self.requests: list[Request] = []
        self._answers = iter(answers)

    async def send(self, request: Request) -> Response:
        """Return the next response of the list."""
        self.requests.append(request)
        try:
            answer = next(self._answers)
        except StopIteration:
            message = f"no scripted response is left for {request.operation}"
            raise AssertionError(message) from None
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Response):
            return answer
        made = answer(request)
        return await made if inspect.isawaitable(made) else made


# ── vcrpy and pytest-recording: no credentials in cassettes ───────────────────


#: What stands in a cassette for a secret; it has the form of a token, so that a
#: recorded exchange can be replayed.
MASK: Final = "masked"

_HEADERS: Final = ("Authorization", "Idempotency-Key", "Proxy-Authorization")
_FORM_FIELDS: Final = ("code", "client_assertion")
# The three casings of the API.
_JSON_FIELDS: Final = frozenset(
    {"access-token", "access_token", "accessToken", "code", "client-secret"}
)


def vcr_options() -> dict[str, Any]:
    """Return options for `vcr.VCR` or for the fixture ``vcr_config``.

    Credentials, codes and tokens are masked in headers, forms and JSON bodies. Personal
    data in the bodies is not: record against the sandbox.
    """
    return {
        "filter_headers": [(name, MASK) for name in _HEADERS],
        "filter_post_data_parameters": [(name, MASK) for name in _FORM_FIELDS],
        "before_record_response": _masked,
        "decode_compressed_response": True,
    }


def _masked(response: dict[str, Any]) -> dict[str, Any]:
    body = response["body"]["string"]
    try:
        document = json.loads(body)
    except ValueError:
        return response
    if not isinstance(document, dict) or not _JSON_FIELDS & document.keys():
        return response
    masked = {
        name: MASK if name in _JSON_FIELDS else value
        for name, value in document.items()
    }
    text = json.dumps(masked).encode()
    return {**response, "body": {**response["body"], "string": text}}


# ── aioresponses 0.7.9 with aiohttp 3.14 and newer ────────────────────────────


def aioresponses_compat() -> bool:
    """Make aioresponses usable, and return whether anything had to be done.

    Raises:
        ImportError: aioresponses is not installed.
    """
    core: Any = import_module("aioresponses.core")
    url = URL("http://localhost/")
    try:
        # Try what fails: version numbers are less reliable.
        core.RequestMatch(url)._build_response(url)  # noqa: SLF001 — it has no public name
    except TypeError as error:
        if "stream_writer" not in str(error):
            raise
    else:
        return False
    core.ClientResponse = _MockedResponse
    return True


class _NothingWritten:
    output_size = 0


class _MockedResponse(aiohttp.ClientResponse):
    """A response that no socket delivered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", _NothingWritten())
        super().__init__(*args, **kwargs)
