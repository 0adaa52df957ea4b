"""Sphinx's settings for the site. `python -m grading site` writes the source and calls Sphinx."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from grading.course.site.docstrings import as_rest

# Browsers draw MathML with a font for mathematics, which not every system has.
ziamath = find_spec("ziamath")
assert ziamath is not None
assert ziamath.origin is not None
FONT = Path(ziamath.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"

logger = logging.getLogger(__name__)
# What docutils has by another name only.
SAME_FORMULA = {r"\dots": r"\ldots", "…": r"\ldots{}", r"\Big(": r"\Bigl(", r"\Big)": r"\Bigr)"}

project = "Perceptron to Pipeline"
project_copyright = "Code: Apache-2.0. Text and figures: CC BY 4.0."
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]

# The labs have run: `grading.course.execute` does that, in the labs' own way.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Docstrings are plain English with `code` in single backticks.
default_role = "code"
autodoc_default_options = {"exclude-members": "ReduceOp"}  # torch's, with torch's docstring
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
toc_object_entries = False

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static", str(FONT)]
html_css_files = ["site.css"]
html_copy_source = False
html_use_index = False
html_domain_indices = False
html_show_sphinx = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options: dict[str, Any] = {
    "navbar_persistent": [],  # the search is in the side bar
    "show_navbar_depth": 1,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "footer_content_items": ["extra-footer.html"],
    "extra_footer": f"<p>{project_copyright}</p>",
}
# The links to open a lab elsewhere, where the repository has a public address.
if address := os.environ.get("SITE_ADDRESS"):
    html_theme_options |= {
        "repository_url": address,
        "repository_branch": "HEAD",
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        },
    }


def mathml(node: nodes.math | nodes.math_block, block: bool = False) -> str:
    """The formula as browsers draw it by themselves; what docutils cannot read is a warning."""
    formula = node.astext()
    for name, same in SAME_FORMULA.items():
        formula = formula.replace(name, same)
    try:
        return tex2mathml(formula, as_block=block)
    except MathError as error:
        logger.warning("the formula %r: %s", formula, error, location=node)
        return ""


def inline_math(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(mathml(node))
    raise nodes.SkipNode


def block_math(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula" tabindex="0">{mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def plain_english(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    lines[:] = as_rest(lines)


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("autodoc-process-docstring", plain_english)
