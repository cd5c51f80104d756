"""How Sphinx builds this site: `make docs`."""

import sys
from pathlib import Path

import jsonrpcc

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "jsonrpcc"
author = "The jsonrpcc authors"
copyright = author
version = release = jsonrpcc.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "c_header",
    "package_facts",
]
exclude_patterns = ["_ext", "_static"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# In our docstrings `name` is a name of ours, as in Sphinx's own py:obj role.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 72
c_maximum_signature_line_length = 72
add_module_names = False

html_theme = "furo"
html_title = f"jsonrpcc {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
# What a search engine or a chat shows of a page that says nothing of its own.
myst_html_meta = {
    "description": "A JSON-RPC 2.0 client over TCP and netstrings for Python and C: "
    "priorities, failover, bounded time and memory, exactly one outcome per call."
}
# A console session is copied without its prompts, and without what it prints.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_copy_empty_lines = False
pygments_style = "friendly"
pygments_dark_style = "native"
