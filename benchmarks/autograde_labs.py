"""How fast real labs are graded: stock `nbgrader autograde`, ours with all cells, and ours.

    python benchmarks/autograde_labs.py 01 05 09 15 --count 8
    python benchmarks/autograde_labs.py 05 --count 200 --ours
    python benchmarks/autograde_labs.py 05 --count 200 --mutated 1

Half of the submissions are the lab's solution, half have a named mistake in it. Stock nbgrader has
its defaults: one call for all students, no sandbox. Ours is `python -m grading autograde --jobs 2`,
sandboxed, with `--all-cells`, and as it is by default (`--ours`: only that). Prints a Markdown
table for each lab. Exit code 1 if the marks are not the same in every way.

`--mutated SEED`: what is left out when a lab is graded changes no mark. Each notebook has up to
four changes at random: cells dropped, swapped, with other numbers, and cells that a student might
add. It is graded with all cells, and as by default.
"""

import argparse
import copy
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from autograde import JOBS, Way, ours, stock, table
from measured import control_group

from grading.course.cells import names_defined
from grading.course.files import lab_of
from grading.course.release import release, scripts_on_path
from tests import mistakes
from tests.labs import ROOT
from utils import device

# Cells that a student might add. NAME: one that the notebook gives a value.
ADDED = (
    "print(NAME)",
    "NAME = None",
    "del NAME",
    "if 0:\n    NAME = 1",
    "kept = [NAME]\nkept.append(1)",
    "import numpy as np\nnp.random.seed(1)\nnp.seterr(all='raise')",
    "import torch\ntorch.manual_seed(3)\ntorch.set_default_dtype(torch.float64)",
    "from math import *",
    "%timeit -n 1 -r 1 1 + 1",
    "globals()['NAME'] = 3",
    "raise ValueError",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the speed of autograding real labs.")
    parser.add_argument("labs", nargs="+", metavar="LAB", help="such as 05")
    parser.add_argument("--count", type=int, default=8, help="submissions (default 8)")
    parser.add_argument("--ours", action="store_true", help="nothing to compare with")
    parser.add_argument("--mutated", type=int, metavar="SEED", help="notebooks changed at random")
    options = parser.parse_args()
    if options.count <= JOBS:
        parser.error(f"--count: more than {JOBS}, which are graded at a time")
    os.environ["LAB_SCALE"] = "smoke"
    machine, different = device.describe(), list[str]()
    for lab in (lab_of(ROOT, name) for name in options.labs):
        ways, counted = graded(lab, options)
        print(f"\n{options.count} submissions of {lab}; {machine};")
        print("\n".join(table(ways, options.count, counted)), flush=True)
        for way in ways[1:]:
            different += [
                f"{lab}, {student}: {way.name} {way.marks.get(student)}, {ways[0].name} {marks}"
                for student, marks in ways[0].marks.items()
                if way.marks.get(student) != marks
            ]
    print("\n".join(different) if different else "Each submission got the same marks every way.")
    return 1 if different else 0


def graded(lab: str, options: argparse.Namespace) -> tuple[list[Way], bool]:
    """The ways that a class of this lab was graded, and whether a control group counted."""
    with tempfile.TemporaryDirectory(prefix="autograde-") as folder, scripts_on_path():
        course = Path(folder)
        for part in ("solutions", "grading/checks"):
            shutil.copytree(ROOT / part, course / part)
        release(course, [lab])
        seed = options.mutated
        rng = None if seed is None else random.Random(f"{lab} {seed}")
        hand_in(course / "course", lab, options.count, rng)
        with control_group() as group:
            ways = [] if options.ours or rng else [stock(course, lab, group)]
            ways += [] if options.ours else [ours(course, lab, group, options=["--all-cells"])]
            return [*ways, ours(course, lab, group)], group is not None


def hand_in(course: Path, lab: str, count: int, rng: random.Random | None) -> None:
    """Write the class's notebooks into the nbgrader course: no two are the same.

    rng: makes changes at random.
    """
    solved = nbformat.read(course / "source" / lab / f"{lab}.ipynb", as_version=4)
    rows = mistakes.load(lab)
    for index in range(count):
        notebook = copy.deepcopy(solved)
        notebook.cells[0].source += f"\n\nWritten by student {index}."
        if index % 2:
            row = rows[index * len(rows) // count]
            answers = [cell for cell in notebook.cells if is_answer(cell, row.exercise)]
            answers[-1].source += f"\n\n{row.code}"
        if rng:
            for _ in range(rng.randint(1, 4)):
                mutate(notebook, rng)
        file = course / "submitted" / f"student-{index:03}" / lab / f"{lab}.ipynb"
        file.parent.mkdir(parents=True)
        nbformat.write(notebook, file)


def mutate(notebook: nbformat.NotebookNode, rng: random.Random) -> None:
    """One change, to cells that are neither answers nor checks, or by another cell."""
    code = [at for at, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    free = [at for at in code if "nbgrader" not in notebook.cells[at].metadata]
    at, kind = rng.choice(free), rng.choice(("drop", "swap", "number", "add", "add"))
    if kind == "drop":
        del notebook.cells[at]
    elif kind == "swap":
        other = rng.choice(free)
        cells = notebook.cells
        cells[at].source, cells[other].source = cells[other].source, cells[at].source
    elif kind == "number":
        cell = notebook.cells[at]
        cell.source = re.sub(r"\b\d+\b", lambda _: str(rng.randint(0, 5)), cell.source, count=1)
    else:
        names = [name for one in code for name in given(notebook.cells[one].source)]
        source = rng.choice(ADDED).replace("NAME", rng.choice(names))
        notebook.cells.insert(rng.choice(code), nbformat.v4.new_code_cell(source))


def given(source: str) -> list[str]:
    try:
        return names_defined(source)
    except SyntaxError:
        return []


def is_answer(cell: nbformat.NotebookNode, exercise: str) -> bool:
    about = cell.metadata.get("nbgrader", {})
    return bool(about.get("solution")) and about["grade_id"].startswith(f"{exercise}_")


if __name__ == "__main__":
    sys.exit(main())
