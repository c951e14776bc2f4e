"""Every resource and every model has a page, with its methods and attributes."""

import re
import sys

import pytest

from persona_share.model.inquiry import Inquiry
from tests.docs.blocks import ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import reference_pages  # noqa: PLC0415 — not on the path before
    finally:
        sys.path.pop(0)
    folder = tmp_path_factory.mktemp("docs")
    reference_pages.write_pages(folder)
    return {
        f"{path.parent.name}/{path.stem}": path.read_text("utf-8")
        for path in folder.rglob("*.md")
    }


def test_resource_has_its_methods_signatures_and_endpoints(pages):
    page = pages["resources/share_tokens"]

    assert (
        "await client.share_tokens.redeem(share_token_id, *, destination_id=…" in page
    )
    assert "`POST /connect/share-tokens/{share-token-id}/redeem`" in page
    assert "| `field_mappings` | `Mapping[str, str] \\| None` |" in page
    assert "client.share_tokens.list(*, connection_id=…" in page


def test_inherited_method_names_the_endpoint_of_its_resource(pages):
    assert "`GET /accounts/{account-id}`" in pages["resources/accounts"]
    assert "`POST /reports/{report-id}/add-tag`" in pages["resources/reports"]


def test_nearly_every_method_names_its_endpoint(pages):
    silent = {
        f"{name}.{section.partition(chr(10))[0]}"
        for name, page in pages.items()
        if name.startswith("resources/")
        for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]
        if "Endpoint: " not in section
    }

    assert silent == {
        "resources/connections.find_active",  # a list
        "resources/files.download",
        "resources/files.download_of",
        "resources/share_tokens.wait",  # a retrieve, several times
    }


def test_model_has_its_attributes_with_their_types(pages):
    page = pages["models/Inquiry"]

    for name in Inquiry._members:
        assert f"| `{name}` |" in page
    assert "| `created_at` | `datetime \\| None` |" in page
    assert "`values`" in page


def test_no_generated_page_is_too_long(pages):
    assert max(map(len, pages.values())) < 20_000
