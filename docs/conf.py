"""Sphinx configuration; `make docs` builds the documentation."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import get_type_hints

from sphinx.application import Sphinx


sys.path.insert(0, str(Path(__file__).parent))

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

html_theme = "furo"
html_use_index = False
html_title = f"persona_share {release}"


def method_table() -> str:
    """Return the table of what can be called, from the resource classes."""
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
    """Write the parts of pages that are made from the code."""
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


def setup(app: Sphinx) -> None:
    """Register the function that writes the generated pages."""
    app.connect("builder-inited", write_pages)
