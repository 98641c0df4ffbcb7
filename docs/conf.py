"""Sphinx's configuration: `nox -s docs` builds the site into docs/_build/html, without network and without a warning.

Pictures and the pages of the command line are made from the code when the site is built, into docs/_generated.
"""

from __future__ import annotations

import sys
from pathlib import Path

import posenc

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import gallery  # noqa: E402  # beside this file

project = "posenc"
author = "the posenc authors"
copyright = author  # noqa: A001  # Sphinx's name for it
release = posenc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "_generated"]
default_role = "code"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say it
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_param = False  # else every one of "start, encoding, ax" has what is said of them all
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"posenc {release}"
html_static_path = ["_static"]
html_css_files = ["posenc.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

gallery.make(HERE / "_generated")
