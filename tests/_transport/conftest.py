"""Both senders: what is asked of one is asked of the other."""

import gc
from functools import partial

import pytest

from persona_share._transport.http import AiohttpSender
from persona_share._transport.httpx import HttpxSender
from tests import servers


@pytest.fixture(params=[AiohttpSender, HttpxSender], ids=["aiohttp", "httpx"])
def kind(request):
    """Answer one sender's class after the other."""
    return request.param


@pytest.fixture
def sender_to(kind):
    """Answer what opens a sender of this kind to a server of this machine."""
    yield partial(servers.sender_to, kind=kind)
    if kind is HttpxSender:
        gc.collect()  # what was left open is told here, not in another test
