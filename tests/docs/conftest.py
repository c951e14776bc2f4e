"""A sandbox, and environment variables for its source or destination."""

import attrs
import pytest
import pytest_asyncio

from persona_share import PersonaClient
from persona_share.sandbox import Sandbox


@attrs.define
class Reader:
    """A reader who follows a page."""

    box: Sandbox
    monkeypatch: pytest.MonkeyPatch

    def is_the(self, side):
        """Put one organization's key into the environment."""
        self.monkeypatch.setenv("PERSONA_API_KEY", getattr(self.box, side).api_key)
        self.monkeypatch.setenv("PERSONA_BASE_URL", self.box.url)

    async def ask_partner(self, scope):
        """Return a code, as the partner's service would."""
        key, url = self.box.source.api_key, self.box.url
        async with PersonaClient(key, base_url=url, insecure_local=True) as source:
            return await source.oauth.authorize(
                client_id=self.box.destination.id, scope=scope
            )


@pytest_asyncio.fixture
async def reader(monkeypatch):
    async with Sandbox(rate_limit=None) as box:
        yield Reader(box, monkeypatch)
