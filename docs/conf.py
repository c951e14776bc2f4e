"""Sphinx configuration; `make docs` builds the documentation."""

from importlib.metadata import version as version_of


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
exclude_patterns = ["_build"]

# Signatures state the types already; types have no pages of their own to link to.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
nitpick_ignore_regex = [("py:.*", ".*")]

copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"
llms_txt_title = "persona_share"
llms_txt_summary = (
    "Async Python client with which two Persona organizations share data."
)

html_theme = "furo"
html_title = f"persona_share {release}"
