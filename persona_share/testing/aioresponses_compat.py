"""A shim that lets aioresponses 0.7.9 work with aiohttp 3.14 and newer.

aiohttp's `ClientResponse` asks there for a ``stream_writer``, which aioresponses does
not pass. The shim is for tests alone, touches aioresponses and not aiohttp, and does
nothing where nothing is amiss.
"""

from importlib import import_module
from typing import Any

import aiohttp
from yarl import URL


def aioresponses_compat() -> bool:
    """Make aioresponses usable, and return whether anything had to be done.

    Raises:
        ImportError: aioresponses is not installed.
    """
    core: Any = import_module("aioresponses.core")
    url = URL("http://localhost/")
    try:
        # The very thing that fails, tried out: no version number tells as much.
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
