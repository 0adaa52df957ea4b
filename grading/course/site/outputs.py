"""What a lab's cells displayed and printed, in the language that is spoken: labs run once, in
English.

A check's result is rendered anew from its metadata; the standing and what else the checks print are
said again, line by line. What a lab's own code prints, and what figures say, is in English in every
language, as it is for learners.
"""

import re
from functools import cache
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from grading import check
from grading.answer import render
from grading.answer.exercise import Part, Result
from grading.answer.say import say
from grading.course.languages import spoken
from grading.course.languages.words import PLACE

_COLUMNS = re.compile(r"(\n| {2,}| · )")


def said(cell: NotebookNode) -> None:
    """Put what a cell displayed and printed into the language that is spoken."""
    for output in cell.outputs:
        about = output.get("metadata", {}).get("grading", {})
        if "parts" in about:
            output.data = _judged(about)
        elif output.get("name") == "stdout":
            output.text = "".join(map(_line, output.text.splitlines(keepends=True)))
        elif cell.source.strip() == "progress()":
            output.data = _standing(output.data["text/plain"])


def _judged(about: NotebookNode) -> NotebookNode:
    parts = [Part(part.title, part.points) for part in about.parts]
    result = Result(about.lab, about.exercise, about.points, parts)
    return NotebookNode({"text/plain": render.text(result), "text/html": render.html(result)})


def _standing(table: str) -> NotebookNode:
    text = "".join(
        piece if _COLUMNS.fullmatch(piece) else say(piece) for piece in _COLUMNS.split(table)
    )
    return NotebookNode({"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"})


def _line(line: str) -> str:
    text = line.rstrip("\n")
    return say(text) + line[len(text) :] if any(one.fullmatch(text) for one in _printed()) else line


@cache
def _printed() -> tuple[re.Pattern[str], ...]:
    """What `grading.check` prints, each message as a pattern."""
    found = (
        PLACE.split(one.text)[::2] for one in spoken.words(Path(check.__file__), by_form=False)
    )
    return tuple(re.compile(".*".join(map(re.escape, around))) for around in found)
