"""A lab's page: the notebook that learners get, with what the solution's cells printed and drew.

The page's cells are the released ones, so that no answer can be on it; a test looks all the same.
A lab runs once: in another language, whose code is the same, the page has the same outputs.
"""

import base64
import hashlib
import html
import re
from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from grading.answer.say import say
from grading.course.files import CourseError
from grading.course.outline import Lab
from grading.course.site import outputs
from grading.course.source import BEGIN, END

_DRAWN = re.compile(r'<img alt="([^"]*)" width="(\d+)" src="data:image/png;base64,([^"]+)">')
_MARK = re.compile(f"{BEGIN}|{END}")


@dataclass(frozen=True)
class Page:
    """A lab as the site shows it.

    pictures: PNG files by their paths in the site, the same in every language. answers: the lines
    of the solution that learners are to write themselves.
    """

    lab: Lab
    notebook: NotebookNode
    pictures: dict[str, bytes]
    answers: frozenset[str]
    points: float
    exercises: int

    def shown(self, alt: str) -> str:
        """The HTML of the first picture whose alternative text begins so. Raises CourseError."""
        for data in _pages_of(self.notebook):
            texts = re.findall(r'<img alt="([^"]*)"', data["text/html"])
            if any(html.unescape(text).startswith(alt) for text in texts):
                return data["text/html"]
        raise CourseError(f'Lab {self.lab.name} draws nothing whose text begins "{alt}".')


def page(
    lab: Lab,
    released: NotebookNode,
    executed: NotebookNode,
    built: Collection[str],
    translated: NotebookNode | None = None,
    up: str = "",
) -> Page:
    """The page, in the language that is spoken.

    built: the names of the labs that have a page. translated: the released notebook in that
    language; None for the original. up: the way from the site's folder in that language to the
    site's own. Raises CourseError where the notebooks do not belong together.
    """
    stale = CourseError(f"labs/{lab.name}.ipynb is not what its source gives: run `make release`.")
    ran = {cell.id: cell for cell in executed.cells}
    notebook = deepcopy(released if translated is None else translated)
    if len(notebook.cells) != len(released.cells):
        raise stale
    for cell, original in zip(notebook.cells, released.cells, strict=True):
        if original.id not in ran:
            raise stale
        if cell.cell_type == "code":
            cell.outputs = deepcopy(ran[original.id].outputs)
            if translated is not None:
                outputs.said(cell)
    checks = [one.metadata.nbgrader for one in notebook.cells if _is_check(one)]
    points = sum(check.points for check in checks)
    facts = _facts(lab, points, len(checks), built)
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(facts, id="facts"))
    pictures, answers = _put_aside(notebook, f"labs/{lab.name}", up), _answers(released, executed)
    return Page(lab, notebook, pictures, answers, points, len(checks))


def _answers(released: NotebookNode, executed: NotebookNode) -> frozenset[str]:
    """The lines of the solution that learners are given nowhere in the lab."""
    given = "\n".join(cell.source for cell in released.cells)
    solved = (cell.source for cell in executed.cells if cell.metadata.get("nbgrader"))
    lines = (line.strip() for source in solved for line in source.splitlines())
    return frozenset(line for line in lines if line not in given and not _MARK.search(line))


def _is_check(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def _facts(lab: Lab, points: float, exercises: int, built: Collection[str]) -> str:
    needs = [
        f"[{say(f'lab {number}')}]({name}.ipynb)"
        for name, number in ((one, one[:2]) for one in lab.needs)
        if name in built
    ]
    download = say("download the notebook")
    facts = [
        say(f"{lab.minutes} minutes"),
        say(f"level {lab.level} of 3"),
        say(f"{points:g} points in {exercises} exercises"),
        *([say(f"builds on {' and '.join(needs)}")] if needs else []),
        f'<a href="{lab.name}.ipynb" download>{download}</a>',
    ]
    solved = say(
        "You see this lab solved: its cells show what they print and draw once the exercises are"
        " done. The answers are not on the page. Where it says `your code here`, you write."
    )
    return f"{' · '.join(facts)}\n\n{solved}"


def _put_aside(notebook: NotebookNode, folder: str, up: str) -> dict[str, bytes]:
    """Let the notebook name its pictures as files, each of which a page loads when it is needed."""
    pictures = dict[str, bytes]()

    def named(found: re.Match[str]) -> str:
        png = base64.b64decode(found[3])
        file = f"{folder}/{hashlib.sha256(png).hexdigest()[:16]}.png"
        pictures[file] = png
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        size = f'width="{found[2]}" height="{round(int(found[2]) * height / width)}"'
        return f'<img alt="{found[1]}" {size} loading="lazy" src="../{up}{file}">'

    for data in _pages_of(notebook):
        data["text/html"] = _DRAWN.sub(named, data["text/html"])
    return pictures


def _pages_of(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """What the cells displayed as HTML."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                yield output.data
