"""Attacks on the person who looks: scripts in feedback, reports and nbgrader's formgrader.

Each marks what it wants to run with the word `owned`; `tests.attacks.pages` looks for it.
"""

from tests.attacks import Attack, Notebook

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = "<img src=x onerror=\"document.title='owned'\">"


def hostile_markdown(notebook: Notebook) -> None:
    """Markdown, raw HTML, attachments, names and links, each with something to run."""
    sources = [
        SCRIPT, IMAGE, "[marks](javascript:document.title='owned')", f"$x$ {IMAGE} $y$",
        f"```\n{SCRIPT}\n```\n\n<svg/onload=\"document.title='owned'\">", "<!-- -->" + SCRIPT,
        "<style>body{background:url(//owned)}</style>", '<iframe srcdoc="owned"></iframe>',
        "\\href{javascript:document.title='owned'}{marks}", f"a <\n{SCRIPT[1:]}",
        "<form action=//owned><input></form>", '<a href="data:text/html,owned">x</a>',
    ]
    for number, source in enumerate(sources):
        notebook["cells"].append(
            {"cell_type": "markdown", "id": f"text-{number}", "metadata": {}, "source": source,
             "attachments": {f"x{IMAGE}": {"text/html": SCRIPT, "image/svg+xml": SCRIPT}}}
        )
    for kind in ("text/html", "text/latex", "text/restructuredtext"):
        notebook["cells"].append(
            {"cell_type": "raw", "id": f"raw-{kind[5:]}", "source": SCRIPT,
             "metadata": {"raw_mimetype": kind, "format": kind}}
        )


def hostile_names(notebook: Notebook) -> None:
    """Ids, tags, languages and titles that end an attribute and begin a tag."""
    breaking = f"x\"'>{SCRIPT}"
    notebook["metadata"] |= {"title": breaking, "authors": [{"name": breaking}]}
    notebook["metadata"]["kernelspec"] |= {"display_name": breaking}
    notebook["metadata"]["language_info"] = {
        "name": "python", "pygments_lexer": breaking, "codemirror_mode": breaking,
        "file_extension": breaking, "mimetype": breaking,
    }
    for cell in notebook["cells"]:
        cell["metadata"] |= {"name": breaking, "collapsed": breaking}
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["metadata"]["nbgrader"]["comment"] = breaking


ATTACKS = [
    Attack("hostile_markdown", "browser", "Markdown and raw cells with scripts and handlers.",
           tamper=hostile_markdown),
    Attack("hostile_names", "browser", "Scripts in the notebook's names, languages and titles.",
           tamper=hostile_names),
    Attack("hostile_outputs", "browser", "Outputs of every type that a page might run.",
           before=f'''\
from IPython.display import display

script, image = {SCRIPT!r}, {IMAGE!r}
for kind in ("text/html", "image/svg+xml", "application/javascript", "text/markdown",
             "text/latex", "application/pdf", "application/vnd.plotly.v1+json"):
    display({{kind: script + image, "text/plain": script + image}}, raw=True)
display({{"image/png": '"' + image, "image/jpeg": "iVBORw0KGgo=" + image}}, raw=True,
        metadata={{"image/png": {{"width": '"' + image}}}})
print(script, image, "\\x1b[31m" + script)
'''),
    Attack("strange_outputs", "browser", "Outputs whose parts are of the wrong type.",
           before='''\
from IPython.display import display

for kind in ("application/vnd.jupyter.widget-view+json", "image/png", "text/html", "text/plain"):
    for value in ("x", 7, ["x"], {"model_id": ["x"]}, None):
        display({kind: value}, raw=True, metadata={"text/plain": 7, "image/png": "x"})
'''),
    Attack("hostile_errors", "browser", "Errors, names and lines of code with scripts in them.",
           before=f'''\
script, image = {SCRIPT!r}, {IMAGE!r}
shell = get_ipython()
shell.InteractiveTB.set_mode("Plain")


class Hostile(Exception):
    def __str__(self):
        return script + image


Hostile.__name__ = script
Hostile.__qualname__ = image
raise Hostile
''', answers={
               "center": f"def center(x):\n    raise Hostile  # {SCRIPT}\n",
               "slope": f"def slope(x, y):\n    raise ValueError({IMAGE!r})  # `{IMAGE}`\n",
               "averager": "class Averager:\n    add = mean = lambda *a: Hostile\n",
               "codeword": f"codeword = type({SCRIPT!r}, (), {{}})()\n",
           }),
]
