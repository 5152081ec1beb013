"""How the site is built: ``make docs``. No network is used; pages of names and numbers are made from the code.

``EQUIRGZ_DOCS_ONLINE=1`` also links to the documentation of Python, NumPy and PyTorch, whose indexes it downloads.
``EQUIRGZ_DOCS_FAST=1`` leaves out what takes long: the cost of each backbone.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generate import docstrings, write_pages  # noqa: E402

import equirgz  # noqa: E402

project, author, copyright = "equirgz", "The equirgz developers", "The equirgz developers, BSD-3-Clause"
release = version = equirgz.__version__
fast, online = (os.environ.get(f"EQUIRGZ_DOCS_{name}") == "1" for name in ("FAST", "ONLINE"))

extensions = ["myst_parser", "sphinx.ext.autodoc"]
if online:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

exclude_patterns = ["_build", "generate", "notebooks", "paper"]
myst_enable_extensions = ["colon_fence"]  # no mathematics: browsers would load MathJax from the network
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries = False

html_theme = "furo"
html_title = "equirgz"
html_static_path = ["_static"]
html_css_files = ["wide_tables.css"]
html_show_sphinx = False
html_copy_source = False


def setup(app):
    """Write the generated pages before any is read, and read docstrings as this package writes them."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir), fast=fast))
    app.connect("autodoc-process-docstring", docstrings.rewrite)
