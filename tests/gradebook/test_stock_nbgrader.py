"""The generated course under stock nbgrader's own commands, with checks as the labs have them."""

import csv
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from grading.course.release import release
from tests.tiny_course import LAB, SOURCE, points_of, write_source

CHECKS = """
from grading.checks import expect
from grading.answer.exercise import exercise, part

@exercise("double", points=2)
def double(student, rng):
    with part("numbers are doubled", points=1.5):
        expect.close(student.double(3.0), 6.0)
    with part("zero stays zero", points=0.5):
        expect.close(student.double(0.0), 0.0)

@exercise("guess", points=1)
def guess(student, rng):
    with part("the guess", points=1):
        expect.equal(student["guess"], "yes")
"""
SET_UP = """
import os
from pathlib import Path

from grading.answer import exercise
from grading.check import checks

exercise.CHECKS = Path(os.environ["TINY_CHECKS"])
check = checks("01_tiny")
"""
# The course's own autograding runs in the sandbox; here it is nbgrader's.
STOCK = """
from nbgrader.converters import Autograde

c.Autograde.autograde_preprocessors = Autograde().autograde_preprocessors
"""
# What each student hands in: changes to the source, and the points by nbgrader.
SUBMISSIONS = {
    "right": ((), 3.0),
    "partly": (("return x + x", "return x * x"), 1.5),
    "raises": (("return x + x", "return 1 / 0"), 1.0),
}


def nbgrader(course: Path, *arguments: str) -> str:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    done = subprocess.run(
        ["nbgrader", *arguments],
        cwd=course,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_stock_nbgrader_releases_grades_and_gives_feedback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_CHECKS", str(tmp_path))
    (tmp_path / f"{LAB}.py").write_text(CHECKS)
    source = re.sub(r"(?s)(?<=# %%\n)from IPython.*?(?=# %% \[markdown\]\n# ## D)", SET_UP, SOURCE)
    source = source[: source.index('# %% [markdown] nbgrader={"grade_id": "why"')]
    write_source(tmp_path, source)
    release(tmp_path, None, points_of)
    course, name = tmp_path / "course", f"{LAB}.ipynb"

    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as config:
        config.write(STOCK)

    assert LAB in nbgrader(course, "db", "assignment", "list")
    nbgrader(course, "generate_assignment", LAB, "--force")
    released = (course / "release" / LAB / name).read_bytes()
    assert released == (tmp_path / "labs" / name).read_bytes()

    solved = (course / "source" / LAB / name).read_text(encoding="utf-8")
    for student, (change, _) in SUBMISSIONS.items():
        submitted = course / "submitted" / student / LAB
        submitted.mkdir(parents=True)
        (submitted / name).write_text(solved.replace(*change) if change else solved)
    shutil.copytree(course / "release" / LAB, course / "submitted" / "untouched" / LAB)
    nbgrader(course, "autograde", LAB, "--create")
    nbgrader(course, "generate_feedback", LAB)
    nbgrader(course, "export")
    with (course / "grades.csv").open(encoding="utf-8") as grades:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(grades)}
    expected = {student: score for student, (_, score) in SUBMISSIONS.items()}
    assert scores == {**expected, "untouched": 0.0}
    feedback = (course / "feedback" / "right" / LAB / f"{LAB}.html").read_text(encoding="utf-8")
    assert "3 of 3 points" in feedback
