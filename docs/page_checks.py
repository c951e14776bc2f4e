"""Checks of the built documentation: the size of pages, and the links of llms.txt."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final


#: A larger page loads slowly, and does not fit into the context of some tools.
MAX_PAGE_BYTES: Final = 100_000

_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")


def problems(output: Path, base_url: str) -> Iterator[str]:
    """Yield a sentence for each page or link that is not as it should be."""
    yield from _large_pages(output)
    yield from _wrong_links(output, base_url)


def _large_pages(output: Path) -> Iterator[str]:
    for page in sorted(output.rglob("*.html")):
        size = page.stat().st_size
        if size > MAX_PAGE_BYTES:
            name = page.relative_to(output)
            yield f"{name} has {size:,} bytes; the maximum is {MAX_PAGE_BYTES:,}"


def _wrong_links(output: Path, base_url: str) -> Iterator[str]:
    """Yield the links of llms.txt that do not lead to a file of the documentation.

    They are absolute if the base URL is known, and otherwise relative to llms.txt.
    """
    links = _LINK.findall((output / "llms.txt").read_text("utf-8"))
    if not links:
        yield "llms.txt has no links"
    for link in links:
        if not link.startswith(base_url):
            yield f"llms.txt: {link} does not begin with {base_url}"
            continue
        path = link.removeprefix(base_url)
        if path.startswith("/") or not (output / path).is_file():
            yield f"llms.txt: there is no file {path}"
