"""The labs as the tests see them: their names, cells, and the reference's names and values."""

import os
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import jupytext

from grading.course.cells import names_defined
from grading.marking import slicing

ROOT = Path(__file__).parents[1]
LABS = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*.py"))
# Inputs that each answer is tried with, a reference with four times as many; `make test
# MISTAKE_SEEDS=3` for more.
SEEDS = int(os.environ.get("MISTAKE_SEEDS") or 1)


@cache
def reference(lab: str) -> dict[str, Any]:
    """The names of `notebook`, made once: not to be changed."""
    return notebook(lab)


def notebook(lab: str) -> dict[str, Any]:
    """The names that the lab's answers define, and what they stand on, at smoke scale.

    The cells of the answers are run, those that define a name which these use, and so on; cells
    that draw and train for show are not: `tests/course/test_execute.py` runs every one.
    """
    file = ROOT / "solutions" / f"{lab}.py"
    module = ModuleType(f"solution_{lab}")
    module.__file__ = str(file)
    # Where `inspect` and `pickle` look a function's module up.
    sys.modules[module.__name__] = module
    cells = _code_cells(lab)
    used = "\n\n".join(source for at, source in enumerate(cells) if at in _needed(lab))
    with mock.patch.dict(os.environ, {"LAB_SCALE": "smoke", "MPLBACKEND": "Agg"}):
        exec(compile(used, str(file), "exec"), vars(module))
    return vars(module)


def answered(lab: str, code: str) -> dict[str, Any]:
    """The reference's names, with those that `code` defines in their place."""
    namespace = dict(reference(lab))
    exec(code, namespace)
    namespace["In"] = [(ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8"), code]
    return namespace


@cache
def answer_names(lab: str, exercise: str) -> tuple[str, ...]:
    """The names that the answer cells of an exercise define, functions and values alike."""
    names: list[str] = []
    for cell in jupytext.read(ROOT / "solutions" / f"{lab}.py").cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution") and about["grade_id"].startswith(f"{exercise}_"):
            names += names_defined(cell.source)
    return tuple(dict.fromkeys(names))


@cache
def _needed(lab: str) -> frozenset[int]:
    """The places of the code cells that the answers, or the checks, stand on: those that run when
    the lab is graded."""
    cells, answers = _code_cells(lab), _sources_of_answers(lab)
    names = {name for source in answers if source for name in names_defined(source)}
    asked = slicing.asked_by(ROOT / "grading" / "checks" / f"{lab}.py")
    slicer = slicing.Slicer((cell, not answer) for cell, answer in zip(cells, answers, strict=True))
    own = [at for at, source in enumerate(answers) if source]
    return slicer.slice(names | asked, own).cells


@cache
def _code_cells(lab: str) -> list[str]:
    book = jupytext.read(ROOT / "solutions" / f"{lab}.py")
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def _sources_of_answers(lab: str) -> list[str]:
    """For each code cell its source, if it is an answer's."""
    book = jupytext.read(ROOT / "solutions" / f"{lab}.py")
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    return [c.source if c.metadata.get("nbgrader", {}).get("solution") else "" for c in code]
