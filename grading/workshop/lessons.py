"""What the board knows of the course: labs, exercises with points and minutes, misconceptions.

`python -m grading.workshop.lessons` prints the misconceptions as JSON. The board asks a process of
its own for them, because the tables stand on PyTorch.
"""

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grading.course.files import CourseError, labs_in
from grading.course.languages.speech import language as language_here
from grading.course.languages.speech import speech
from grading.course.outline import titles_of

_HERE = Path(__file__).parents[2]
_HEADING = re.compile(r"### \D+?\d+ · (.+?) — (?:.*?(\d+) minutes?\b)?")

# For each lab and exercise: the names of its misconceptions, with what a learner is told.
Misconceptions = Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Exercise:
    """points: full marks; minutes: what its heading allows, 0 where it names none."""

    name: str
    title: str
    points: float
    minutes: int


@dataclass(frozen=True)
class Lesson:
    """A lab as the board shows it."""

    name: str
    title: str
    exercises: Mapping[str, Exercise] = field(default_factory=dict)


def lessons(root: Path, language: str = "") -> dict[str, Lesson]:
    """The labs of a course, read from the notebooks that learners get. Raises CourseError.

    language: of the titles, a folder of `locale/`; "" for the original.
    """
    titles, folder, said = titles_of(root), root / "labs", speech(root, language)
    found = {
        name: Lesson(name, said(titles.get(name, name)), _exercises(folder, name, language))
        for name in labs_in(folder, ".ipynb")
    }
    if not found:
        raise CourseError(f"There are no labs in {folder}: `python -m grading release` makes them.")
    return found


def misconceptions() -> dict[str, dict[str, dict[str, str]]]:
    """Those of every lab that has a table, in the language of this process; takes seconds, as the
    tables import what labs do."""
    from grading.answer import exercise

    found: dict[str, dict[str, dict[str, str]]] = {}
    for lab in exercise.labs():
        said = speech(_HERE, language_here(_HERE), lab)
        for row in mistakes(lab):
            known = found.setdefault(lab, {}).setdefault(row.exercise, {})
            known.setdefault(row.name, said(row.says))
    return found


def mistakes(lab: str) -> list[Any]:
    """The rows of a lab's table of misconceptions; none where it has no table."""
    module = f"grading.checks.answers.{lab[3:]}"
    if importlib.util.find_spec(module) is None:
        return []
    return list(importlib.import_module(module).MISTAKES)


async def misconceptions_apart() -> Misconceptions:
    """The same from a process of its own, whose memory is given back. Raises CourseError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        cwd=_HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        text, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise CourseError(f"The tables of misconceptions cannot be read, so none are shown: {last}")
    return json.loads(text)


def _exercises(folder: Path, lab: str, language: str) -> dict[str, Exercise]:
    """The graded exercises of a lab, their titles in a language that it is translated into."""
    found, translated = _graded(folder / f"{lab}.ipynb"), folder / language / f"{lab}.ipynb"
    if not language or not translated.exists():
        return found
    titles = {name: one.title for name, one in _graded(translated).items()}
    return {name: replace(one, title=titles.get(name, one.title)) for name, one in found.items()}


def _graded(notebook: Path) -> dict[str, Exercise]:
    """The graded exercises of a notebook, with the heading above each."""
    found: dict[str, Exercise] = {}
    title, minutes = "", 0
    for cell in _cells(notebook):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and (heading := _HEADING.search(source)):
            title, minutes = heading[1], int(heading[2] or 0)
        about = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "code" and about.get("grade"):
            name = about["grade_id"]
            found[name] = Exercise(name, title or name, float(about["points"]), minutes)
            title, minutes = "", 0
    return found


def _cells(notebook: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise CourseError(f"{notebook} cannot be read as a notebook ({error}).") from None


if __name__ == "__main__":
    print(json.dumps(misconceptions()))
