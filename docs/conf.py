"""Settings of the documentation site: `make docs` builds it into build/docs."""

from unbraid import __version__

project = "unbraid"
author = "The unbraid authors"
release = version = __version__
html_title = f"unbraid {__version__}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["images"]
# Links to source files; tests/docs/test_links.py follows them.
suppress_warnings = ["myst.xref_missing"]

myst_heading_anchors = 3
myst_enable_extensions = ["smartquotes"]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True

html_theme = "furo"
