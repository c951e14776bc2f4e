"""A sandbox, and environment variables for its source or destination."""

import attrs
import pytest
import pytest_asyncio

from persona_share import PersonaClient
from persona_share.sandbox import Sandbox


@attrs.define
class PageReader:
    """A reader of a page, with credentials in the environment."""

    sandbox: Sandbox
    monkeypatch: pytest.MonkeyPatch

    def use_key_of(self, side):
        """Set the API key of one organization in the environment."""
        self.monkeypatch.setenv("PERSONA_API_KEY", getattr(self.sandbox, side).api_key)
        self.monkeypatch.setenv("PERSONA_BASE_URL", self.sandbox.url)

    async def ask_partner(self, scope):
        """Return a code of the source organization."""
        key, url = self.sandbox.source.api_key, self.sandbox.url
        async with PersonaClient(key, base_url=url, insecure_local=True) as source:
            return await source.oauth.authorize(
                client_id=self.sandbox.destination.id, scope=scope
            )


@pytest_asyncio.fixture
async def reader(monkeypatch):
    async with Sandbox(rate_limit=None) as sandbox:
        yield PageReader(sandbox, monkeypatch)
