"""Sphinx configuration; `make docs` builds the documentation."""

import os
import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import get_type_hints

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import inspect


sys.path.insert(0, str(Path(__file__).parent))

import page_checks
import reference_pages

from persona_share import PersonaClient
from persona_share.resources import api


project = "persona_share"
author = "The persona_share contributors"
copyright = "The persona_share contributors, Apache License 2.0"
release = version = version_of("persona-share")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_llms_txt",
]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated"]

# Signatures state the types already; types have no pages of their own to link to.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
nitpick_ignore_regex = [("py:.*", ".*")]

copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"
llms_txt_title = "persona_share"
llms_txt_summary = (
    "Async Python client for sharing identity data between two Persona organizations."
)

# Where the documentation is published, with a trailing slash. If it is unknown, the links
# of llms.txt are relative to it, so that they work under any URL and on a disk.
html_baseurl = os.environ.get("DOCS_BASE_URL", "")
llms_txt_uri_template = (
    "{base_url}" if html_baseurl else ""
) + "_sources/{docname}{suffix}{sourcelink_suffix}"

html_theme = "furo"
html_use_index = False
html_title = f"persona_share {release}"


def method_table() -> str:
    """Return the table of methods, from the resource classes."""
    properties = {
        name: get_type_hints(value.fget, vars(api))["return"]
        for owner in (PersonaClient, api.ResourceAccessors)
        for name, value in vars(owner).items()
        if isinstance(value, property) and not name.startswith("_")
    }
    lines = ["| Property | Methods |", "|---|---|"]
    for name, kind in properties.items():
        if kind.__module__.startswith("persona_share.resources."):
            words = sorted(word for word in dir(kind) if not word.startswith("_"))
            only = "" if hasattr(api.ResourceAccessors, name) else " (client only)"
            lines.append(
                f"| `{name}`{only} | {' '.join(f'`{each}`' for each in words)} |"
            )
    return "\n".join(lines) + "\n"


def write_pages(app: Sphinx) -> None:
    """Write the parts of pages that are generated from the code."""
    folder = Path(app.srcdir, "_generated")
    folder.mkdir(exist_ok=True)
    (folder / "methods.md").write_text(method_table(), "utf-8")
    parts = {
        "errors": reference_pages.error_table(),
        "sandbox_control": reference_pages.sandbox_control(),
        "sandbox_methods": reference_pages.sandbox_methods(),
        "sandbox_objects": reference_pages.sandbox_objects(),
        "switches": reference_pages.switch_table(),
    }
    for name, text in parts.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    reference_pages.write_pages(Path(app.srcdir))


def check_output(app: Sphinx, error: Exception | None) -> None:
    """Fail the build if a page is too large, or if a link of llms.txt is wrong."""
    if error is not None or not Path(app.outdir, "llms.txt").exists():
        return
    if found := list(page_checks.problems(Path(app.outdir), html_baseurl)):
        raise ExtensionError("\n".join(found))


def public_signature(
    _app: Sphinx, what: str, _name: str, obj: object, *_: object
) -> tuple[str, str] | None:
    """Return the signature of a class or function without its private parameters."""
    if what not in ("class", "function", "method") or not callable(obj):
        return None
    try:
        whole = inspect.signature(obj, bound_method=what == "method")
    except (TypeError, ValueError):
        return None
    public = [each for each in whole.parameters.values() if each.name[0] != "_"]
    if len(public) == len(whole.parameters):
        return None
    shown = whole.replace(parameters=public)
    return inspect.stringify_signature(shown, unqualified_typehints=True), ""


def include_files(app: Sphinx, _error: Exception | None) -> None:
    """Put the files that pages include into the text for language models."""
    whole = Path(app.outdir, "llms-full.txt")
    if not whole.exists():  # another builder than the one for HTML
        return

    def content(found: re.Match[str]) -> str:
        path = found["path"].removeprefix("../")
        source = Path(app.srcdir)
        known = (source.parent / path, source / path)
        text = next(each for each in known if each.exists()).read_text("utf-8")
        code = found["directive"] == "literalinclude"
        return f"```python\n{text}```" if code else text

    pattern = r"```\{(?P<directive>literalinclude|include)\} (?P<path>\S+)(\n:.*)*\n```"
    text = re.sub(pattern, content, whole.read_text("utf-8"))
    if left := re.search(r"```\{(literal)?include\}.*", text):
        message = f"llms-full.txt: {left[0]} was not included"
        raise ExtensionError(message)
    whole.write_text(text, "utf-8")


def setup(app: Sphinx) -> None:
    """Register the functions that write generated pages and signatures."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-signature", public_signature)
    app.connect("build-finished", include_files, priority=900)  # after sphinx_llms_txt
    app.connect("build-finished", check_output, priority=901)
