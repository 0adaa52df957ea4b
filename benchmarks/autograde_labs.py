"""How fast real labs are graded: stock `nbgrader autograde`, ours with all cells, and ours.

    python benchmarks/autograde_labs.py 01 05 09 15 --count 8
    python benchmarks/autograde_labs.py 05 --count 200 --ours

Half of the submissions are the lab's solution, half have a named mistake in it. Stock nbgrader has
its defaults: one call for all students, no sandbox. Ours is `python -m grading autograde --jobs 2`,
sandboxed, with `--all-cells`, and as it is by default (`--ours`: only that). Prints a Markdown
table for each lab. Exit code 1 if the marks are not the same in every way.
"""

import argparse
import copy
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from autograde import JOBS, Way, ours, stock, table
from measured import control_group

from grading.course.files import lab_of
from grading.course.release import release, scripts_on_path
from tests import mistakes
from tests.labs import ROOT
from utils import device


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the speed of autograding real labs.")
    parser.add_argument("labs", nargs="+", metavar="LAB", help="such as 05")
    parser.add_argument("--count", type=int, default=8, help="submissions (default 8)")
    parser.add_argument("--ours", action="store_true", help="nothing to compare with")
    options = parser.parse_args()
    if options.count <= JOBS:
        parser.error(f"--count: more than {JOBS}, which are graded at a time")
    os.environ["LAB_SCALE"] = "smoke"
    machine, different = device.describe(), list[str]()
    for lab in (lab_of(ROOT, name) for name in options.labs):
        ways, counted = graded(lab, options.count, options.ours)
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


def graded(lab: str, count: int, only_ours: bool) -> tuple[list[Way], bool]:
    """The ways that a class of this lab was graded, and whether a control group counted."""
    with tempfile.TemporaryDirectory(prefix="autograde-") as folder, scripts_on_path():
        course = Path(folder)
        for part in ("solutions", "grading/checks"):
            shutil.copytree(ROOT / part, course / part)
        release(course, [lab])
        hand_in(course / "course", lab, count)
        with control_group() as group:
            ways = [] if only_ours else [stock(course, lab, group)]
            ways += [] if only_ours else [ours(course, lab, group, options=["--all-cells"])]
            return [*ways, ours(course, lab, group)], group is not None


def hand_in(course: Path, lab: str, count: int) -> None:
    """Write the class's notebooks into the nbgrader course: no two are the same."""
    solved = nbformat.read(course / "source" / lab / f"{lab}.ipynb", as_version=4)
    rows = mistakes.load(lab)
    for index in range(count):
        notebook = copy.deepcopy(solved)
        notebook.cells[0].source += f"\n\nWritten by student {index}."
        if index % 2:
            row = rows[index * len(rows) // count]
            answers = [cell for cell in notebook.cells if is_answer(cell, row.exercise)]
            answers[-1].source += f"\n\n{row.code}"
        file = course / "submitted" / f"student-{index:03}" / lab / f"{lab}.ipynb"
        file.parent.mkdir(parents=True)
        nbformat.write(notebook, file)


def is_answer(cell: nbformat.NotebookNode, exercise: str) -> bool:
    about = cell.metadata.get("nbgrader", {})
    return bool(about.get("solution")) and about["grade_id"].startswith(f"{exercise}_")


if __name__ == "__main__":
    sys.exit(main())
