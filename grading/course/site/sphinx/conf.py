"""Sphinx's settings for the site in one language. `python -m grading site` writes the source and
calls Sphinx, with what it should know in the variable SITE."""

import json
import os
import re
from html import escape
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.search import SearchLanguage
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from grading.course.site.docstrings import as_rest

# Browsers draw MathML with a font for mathematics, which not every system has.
ziamath = find_spec("ziamath")
assert ziamath is not None
assert ziamath.origin is not None
FONT = Path(ziamath.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"

logger = logging.getLogger(__name__)
SIGNS = r"\u3005\u3040-\u30ff\u3400-\u9fff"  # of Japanese, for Python and for JavaScript
# What docutils has by another name only.
SAME_FORMULA = {r"\dots": r"\ldots", "…": r"\ldots{}", r"\Big(": r"\Bigl(", r"\Big)": r"\Bigr)"}

SITE = json.loads(os.environ["SITE"])

project = SITE["title"]
language = SITE["language"]

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
templates_path = ["_templates"]
html_static_path = ["_static", str(FONT)]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # else a first visit is an error in the console
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
    "article_header_end": ["languages.html", "article-header-buttons.html"],
    "footer_content_items": ["extra-footer.html"],
    "extra_footer": f"<p>{SITE['terms']}</p>",
}
# The links to open a lab elsewhere, where the repository has a public address.
if SITE["address"]:
    html_theme_options |= {
        "repository_url": SITE["address"],
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


class Bigrams(SearchLanguage):
    """Japanese without a dictionary: a run of its signs is indexed by each sign and each two in a
    row, and asked for by the pairs, so that a word is found wherever it stands in a run."""

    lang = "ja"
    language_name = "Japanese"
    js_splitter_code = f"""
var splitQuery = (query) =>
  (query.match(/[{SIGNS}]+|(?:(?![{SIGNS}])[\\p{{L}}\\p{{N}}_])+/gu) ?? []).flatMap((run) =>
    /^[{SIGNS}]{{2}}/u.test(run)
      ? Array.from({{ length: run.length - 1 }}, (_, at) => run.slice(at, at + 2))
      : [run]);
"""

    def split(self, input: str) -> list[str]:
        found = list[str]()
        for run in re.findall(rf"[{SIGNS}]+|(?:(?![{SIGNS}])\w)+", input):
            if re.match(f"[{SIGNS}]", run):
                found += [*run, *map("".join, pairwise(run))]
            else:
                found.append(run)
        return found


def plain_english(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    lines[:] = as_rest(lines)


def in_languages(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Lead from each page to the same page in the other languages; mark what is not translated."""
    up = "../" * (pagename.count("/") + bool(SITE["folder"]))
    original, _ = SITE["languages"][0]
    context["elsewhere"] = [
        (name, title, f"{up}{'' if name == original else f'{name}/'}{pagename}.html")
        for name, title in SITE["languages"]
        if name != language
    ]
    for name, _, address in context["elsewhere"]:
        link = f'<link rel="alternate" hreflang="{name}" href="{address}">'
        context["metatags"] = context.get("metatags", "") + link
    if app.env.metadata[pagename].get("lang") == original:
        note = f'<p class="untranslated">{escape(SITE["original"])}</p>'
        context["body"] = f'{note}<div lang="{original}">{context["body"]}</div>'


def in_its_folder(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """A lab that is translated is elsewhere in the repository: let it be opened there."""
    translated = pagename.replace("labs/", f"labs/{SITE['folder']}/")
    if SITE["folder"] and "lang" not in app.env.metadata[pagename]:
        for button in (
            one for group in context["header_buttons"] for one in group.get("buttons", [])
        ):
            button["url"] = button["url"].replace(f"{pagename}.ipynb", f"{translated}.ipynb")


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.add_search_language(Bigrams)
    app.connect("autodoc-process-docstring", plain_english)
    app.connect("html-page-context", in_languages)
    app.connect("html-page-context", in_its_folder, priority=502)  # the theme's own is at 501
