"""How fast submissions are graded: stock `nbgrader autograde` against this course's, sandboxed.

    python benchmarks/autograde.py --count 12

Grades the same honest submissions of a small lab that imports torch with stock nbgrader (its
defaults: one call for all students, no sandbox), with `python -m grading autograde --jobs 2`, and
with the same where each kernel starts afresh; prints a Markdown table. Exit code 1 if the marks
are not the same everywhere, and as predicted.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from autograde_lab import CHECKS, HONEST, LAB, POINTS, SOURCE
from measured import SAMPLE_SECONDS, ControlGroup, Cost, control_group, measure
from nbgrader.api import Gradebook

from grading.course.nbgrader_config import COURSE_ID
from grading.course.release import release, scripts_on_path
from utils import device

JOBS = 2
# A longer time limit changes no speed, and spares a busy machine failures.
STOCK_CONFIG = f"c.CourseDirectory.course_id = {COURSE_ID!r}\nc.Execute.timeout = 600\n"
Marks = dict[str, dict[str, float]]  # by student and exercise


@dataclass
class Way:
    """A way to grade, what it cost, and the marks. at_a_time: submissions beside each other."""

    name: str
    at_a_time: int
    cost: Cost
    marks: Marks


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the speed of autograding.")
    parser.add_argument("--count", type=int, default=12, help="submissions (default 12)")
    count = parser.parse_args().count
    if count <= JOBS:
        parser.error(f"--count: more than {JOBS}, which are graded at a time")

    machine = device.describe()  # also brings torch's files into memory, for all alike
    with tempfile.TemporaryDirectory(prefix="autograde-") as folder, scripts_on_path():
        course = Path(folder)
        predicted = make_course(course, count)
        os.environ["LAB_SCALE"] = "smoke"
        with control_group() as group:
            ways = [
                stock(course, LAB, group),
                ours(course, LAB, group),
                ours(course, LAB, group, [str(Path(__file__).with_name("autograde_cold.py"))]),
            ]
    print(f"{count} submissions of a lab that imports torch, with four exercises; {machine};")
    print("\n".join(table(ways, count, group is not None)))
    wrong = list(differences(ways, predicted))
    print("\n".join(wrong) if wrong else "Each submission got the predicted marks in every way.")
    return 1 if wrong else 0


# The submissions


def make_course(course: Path, count: int) -> Marks:
    """Release the lab in this folder and hand in `count` notebooks; returns the marks they earn."""
    for file, text in (
        (course / "solutions" / f"{LAB}.py", SOURCE),
        (course / "grading" / "checks" / f"{LAB}.py", CHECKS),
    ):
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    release(course, None, lambda lab: POINTS)
    solved = (course / "course" / "source" / LAB / f"{LAB}.ipynb").read_text(encoding="utf-8")
    predicted = {}
    for index in range(count):
        changes, marks = HONEST[index % len(HONEST)]
        student = f"student-{index:03}"
        # So that no two notebooks are the same.
        notebook = solved.replace("After so many", f"Written by {student}: after so many")
        for old, new in changes.items():
            assert old in notebook
            notebook = notebook.replace(old, new)
        file = course / "course" / "submitted" / student / LAB / f"{LAB}.ipynb"
        file.parent.mkdir(parents=True)
        file.write_text(notebook, encoding="utf-8")
        predicted[student] = POINTS | marks
    return predicted


# The ways to grade


def stock(course: Path, lab: str, group: ControlGroup | None) -> Way:
    """Stock nbgrader with its defaults, in a copy of the nbgrader course."""
    folder = course / "stock"
    shutil.copytree(course / "course", folder)
    (folder / "nbgrader_config.py").write_text(f"c = get_config()\n{STOCK_CONFIG}")
    os.environ["BENCHMARK_CHECKS"] = str(course / "grading" / "checks")
    command = [sys.executable, "-m", "nbgrader", "autograde", lab, "--create"]
    cost = measure(command, folder, group, folder / "autograded", f"*/{lab}/{lab}.ipynb")
    marks = {}
    with Gradebook(f"sqlite:///{folder}/gradebook.db", COURSE_ID) as gradebook:
        for submission in gradebook.assignment_submissions(lab):
            grades = submission.notebooks[0].grades
            marks[submission.student_id] = {grade.name: grade.score for grade in grades}
    return Way("stock nbgrader, no sandbox", 1, cost, marks)


def ours(
    course: Path,
    lab: str,
    group: ControlGroup | None,
    program: Sequence[str] = ("-m", "grading"),
    options: Sequence[str] = (),
) -> Way:
    """`python -m grading autograde` in the sandbox; program: what stands for that."""
    results = Path(tempfile.mkdtemp(dir=course))
    submitted = course / "course" / "submitted"
    command = [sys.executable, *program, "autograde", lab, str(submitted), *options]
    command += ["--results", str(results)]
    command += ["--course", str(course), "--jobs", str(JOBS)]
    cost = measure(command, course, group, results, f"*/{lab}.json")
    marks, isolations = {}, set()
    for file in sorted(results.glob(f"*/{lab}.json")):
        result, student = json.loads(file.read_bytes()), file.parent.name
        marks[student] = {one["name"]: one["score"] for one in result["exercises"]}
        isolations.add(result["isolation"])
    return Way(" / ".join([*sorted(isolations), *options]), JOBS, cost, marks)


# Reporting


def table(ways: list[Way], count: int, counted: bool) -> Iterator[str]:
    yield f"{date.today()}.\n"
    heads = ["", "at a time", "a minute", "× stock", "first after (s)", "then a minute"]
    heads += ["CPU seconds each", "peak memory (MB)", "of it, each at a time (MB)"]
    yield f"| {' | '.join(heads)} |"
    yield f"|---{'|--:' * (len(heads) - 1)}|"
    for way in ways:
        cost, many = way.cost, way.at_a_time
        mb, first, last = cost.peak / 2**20, cost.done[0], cost.done[-1]
        row = [way.name, f"{many}", f"{60 * count / cost.seconds:.1f}"]
        row += [f"{ways[0].cost.seconds / cost.seconds:.1f}", f"{first:.1f}"]
        row += [f"{60 * (count - many) / (last - first):.1f}", f"{cost.cpu_seconds / count:.2f}"]
        row += [f"{mb:.0f}", f"{mb / many:.0f}"]
        yield f"| {' | '.join(row)} |"
    yield "\nA minute: of the whole command, with its start. Memory: the sum of PSS over all of its"
    yield f"processes, the most of samples every {SAMPLE_SECONDS} s."
    if any(way.cost.hidden for way in ways):
        yield "The memory of some sandboxed processes could not be read, and is not counted."
    if not counted:
        yield "CPU time is by getrusage: kernels that were killed and not waited for, such as those"
        yield "forked from a zygote, are not counted; root may make the control group that does."


def differences(ways: list[Way], predicted: Marks) -> Iterator[str]:
    for way in ways:
        for student, marks in predicted.items():
            if (got := way.marks.get(student)) != marks:
                yield f"{way.name}: {student} got {got}, not {marks}."


if __name__ == "__main__":
    sys.exit(main())
