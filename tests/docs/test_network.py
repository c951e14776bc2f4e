"""docs/howto/network.md: its examples run, and its defaults are the real ones."""

import re
import ssl
from pathlib import Path

import attrs
import pytest

from persona_share import PersonaClient, RateLimitPolicy, RetryPolicy, Timeouts
from persona_share.errors import InsecureOriginError
from tests.docs.blocks import page_names


PAGE = "docs/howto/network.md"
TEXT = (Path(__file__).parents[2] / PAGE).read_text("utf-8")


@pytest.fixture
def names(monkeypatch):
    monkeypatch.setenv("PERSONA_API_KEY", "persona_sandbox_x")
    for name in ("PERSONA_BASE_URL", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return page_names(PAGE)


def test_examples_create_clients(names):
    authority = ssl.get_default_verify_paths().cafile
    clients = [
        names["client"](),
        names["through_a_proxy"](),
        names["through_the_proxy_of_the_environment"](),
        *([names["with_an_authority"](authority)] if authority else []),
    ]
    assert all(isinstance(client, PersonaClient) for client in clients)


@pytest.mark.parametrize("field", ["connect", "read", "attempt", "call"])
def test_timeouts_are_the_defaults(field):
    [seconds] = re.findall(rf"^\| `{field}` \| (\d+) s \|", TEXT, re.MULTILINE)
    assert float(seconds) == getattr(Timeouts(), field)


def test_page_describes_the_default_policies():
    assert f'| `"{RateLimitPolicy().mode}"` |' in TEXT
    assert RetryPolicy().attempts == 3
    assert "at most three attempts" in TEXT
    fields = attrs.fields_dict(RateLimitPolicy)
    named = re.findall(r"^\| `(mode|max_wait)` \|", TEXT, re.MULTILINE)
    assert set(named) <= set(fields)


def test_proxy_with_a_sandbox_is_refused_with_advice_to_leave_it_out():
    with pytest.raises(InsecureOriginError) as caught:
        PersonaClient(
            "localbox_x",
            base_url="http://127.0.0.1:1/api/v1",
            insecure_local=True,
            proxy="http://127.0.0.1:2",
        )

    assert "Nothing was sent. Leave out proxy= for a local sandbox" in str(caught.value)
    assert "insecure_local" not in str(caught.value)
