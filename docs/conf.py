"""How the documentation is built: `make docs`."""

from importlib.metadata import version as version_of


project = "persona_share"
author = "The persona_share contributors"
copyright = "The persona_share contributors, Apache License 2.0"
release = version = version_of("persona-share")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

# A signature says the types already, and types are no places on these pages.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = f"persona_share {release}"
