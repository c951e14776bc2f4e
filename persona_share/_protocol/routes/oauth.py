"""``/oauth``: codes and tokens."""

from typing import Final

from persona_share._protocol.http import Expects
from persona_share._protocol.routes.route import Route


AUTHORIZE: Final = Route(
    "POST", "/oauth/authorize", expects=Expects.OAUTH, repeatable=True
)
TOKEN: Final = Route("POST", "/oauth/token", expects=Expects.OAUTH)
