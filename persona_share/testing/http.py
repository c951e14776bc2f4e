"""HTTP without a network: scripted responses, and options for vcrpy and aioresponses."""

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import Any, Final

import aiohttp
from yarl import URL

from persona_share._protocol.http import Request, Response


Step = Response | BaseException | Callable[[Request], Response | Awaitable[Response]]


class ScriptedSender:
    """A `Sender` that follows a script of responses and records the requests.

    A step of the script is a response, an exception to raise, or a callable that
    receives the request and returns a response. After the last step, `send` raises
    `AssertionError`.
    """

    def __init__(self, steps: Iterable[Step] = (), /) -> None:
        self.requests: list[Request] = []
        self._steps = iter(steps)

    async def send(self, request: Request) -> Response:
        """Return the next response of the script."""
        self.requests.append(request)
        try:
            step = next(self._steps)
        except StopIteration:
            message = f"no scripted response is left for {request.operation}"
            raise AssertionError(message) from None
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Response):
            return step
        result = step(request)
        return await result if inspect.isawaitable(result) else result


# ── vcrpy and pytest-recording: no credentials in cassettes ───────────────────


#: Replaces a secret in a cassette. It is a valid token, so a recorded exchange can be
#: replayed.
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
    """Make aioresponses compatible with aiohttp, and return whether that was necessary.

    Raises:
        ImportError: aioresponses is not installed.
    """
    core: Any = import_module("aioresponses.core")
    url = URL("http://localhost/")
    try:
        # Try the call that fails: version numbers are less reliable.
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
    """A response without a connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", _NothingWritten())
        super().__init__(*args, **kwargs)
