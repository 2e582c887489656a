"""How Sphinx builds the site: `make docs` writes it to build/docs/html."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_build_tools"))

import fastbp  # noqa: E402
import gallery  # noqa: E402

project = "fastbp"
author = "The fastbp developers"
copyright = author
version = release = fastbp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "code_links",
    "command_line",
    "site_docstrings",
    "gallery",
    "repository_links",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build_tools", "gallery/**/GALLERY_HEADER.rst"]
default_role = "py:obj"  # `MLP.fit` in a docstring is a link; `X`, which is none, is code
language = "en"
smartquotes = False  # "relu" is code, with straight quotes

# ---- pages -----------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4

# ---- reference -------------------------------------------------------------------------------

autosummary_generate = False  # the pages of docs/reference hold the objects themselves
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's Parameters name the types
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_class_members_toctree = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# ---- gallery ---------------------------------------------------------------------------------

sphinx_gallery_conf = gallery.settings()

# ---- looks -----------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"fastbp {version}"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "fastbp"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_prev_next": True,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
html_context = {"default_mode": "auto"}  # as the system is set: light or dark
ALONE = (
    "tutorial",
    "performance",
    "troubleshooting",
    "how_it_works",
    "decisions",
    "guarantees",
    "objects",
    "scaling",
)
html_sidebars = {page: [] for page in ("index", *ALONE)}  # they have no section to navigate in
