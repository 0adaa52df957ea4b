"""A course of one small lab with checks, and submissions of it, for the tests of grading."""

import copy
import json
import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from grading.course import release

LAB = "01_small"
POINTS = {"double": 2.0, "guess": 1.0, "average": 2.0}
MAX_SCORE = sum(POINTS.values())

SOURCE = '''\
# %% [markdown]
# # Lab 1 · Small
#
# You write two functions and guess a word, and say why.

# %% tags=["parameters"]
scale = ""

# %%
from grading.check import checks

check = checks("01_small")

# %% nbgrader={"grade_id": "double_code", "solution": true}
def double(x: float) -> float:
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "double", "grade": true, "points": 2}
check("double")

# %%
raise SystemExit("a demonstration, which is not run when graded")

# %% nbgrader={"grade_id": "guess_code", "solution": true}
guess = None  # "yes" or "no"
### BEGIN SOLUTION
guess = "yes"
### END SOLUTION

# %% nbgrader={"grade_id": "guess", "grade": true, "points": 1}
check("guess")

# %% nbgrader={"grade_id": "average_code", "solution": true}
def average(values):
    """The mean of a list of numbers."""
    ### BEGIN SOLUTION
    return sum(values) / len(values)
    ### END SOLUTION

# %% nbgrader={"grade_id": "average", "grade": true, "points": 2}
check("average")

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 1}
# Why is the mean of one number the number itself?
#
# ### BEGIN SOLUTION
# It is divided by one.
# ### END SOLUTION
'''

CHECKS = '''\
"""Checks of lab 01."""

from grading.checks import expect
from grading.answer.exercise import exercise, part


@exercise("double", points=2)
def double(student, rng):
    x = float(rng.uniform(1, 9))
    with part("a positive number is doubled", points=1.5):
        known = {"That is the square.": x * x}
        expect.close(student.double(x), 2 * x, given={"x": x}, knows=known)
    with part("a negative number is doubled", points=0.5):
        expect.close(student.double(-x), -2 * x, given={"x": -x})


@exercise("guess", points=1)
def guess(student, rng):
    with part("the word", points=1):
        expect.equal(student["guess"], "yes", what="guess")


@exercise("average", points=2, time_limit=1)
def average(student, rng):
    values = [float(value) for value in rng.uniform(1, 9, size=3)]
    with part("the mean of three numbers", points=2):
        known = {"That is their sum.": sum(values)}
        expect.close(student.average(values), sum(values) / 3, knows=known)
'''

# Answers by the names of their cells; what is not named stays as it was released.
RIGHT = {
    "double_code": "def double(x):\n    return x + x",
    "guess_code": "guess = 'yes'",
    "average_code": "import statistics\n\ndef average(values):\n    return statistics.mean(values)",
    "why": "Because $x / 1 = x$.",
}
PARTLY = {  # 1.5 of 2, 0 of 1, 0 of 2
    "double_code": "def double(x):\n    return abs(x) * 2",
    "guess_code": "guess = 'no'",
    "average_code": "def average(values):\n    return sum(values)",
}


def make_course(root: Path) -> Path:
    """Write the course's sources and release them."""
    write(root / "solutions" / f"{LAB}.py", SOURCE)
    write(root / "grading" / "checks" / f"{LAB}.py", CHECKS)
    release.release(root, None, lambda lab: POINTS)
    return root


def released(root: Path, language: str = "") -> dict[str, Any]:
    return json.loads((root / "labs" / language / f"{LAB}.ipynb").read_bytes())


def answered(notebook: dict[str, Any], answers: Mapping[str, str]) -> dict[str, Any]:
    """A copy of the notebook with these answers in it."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], "".join(cell["source"]))
    assert set(answers) <= {cell["id"] for cell in notebook["cells"]}
    return notebook


def hand_in(root: Path, student: str, answers: Mapping[str, str], language: str = "") -> Path:
    """Put a student's notebook into root/handed_in."""
    notebook = nbformat.from_dict(answered(released(root, language), answers))
    return write(root / "handed_in" / student / f"{LAB}.ipynb", nbformat.writes(notebook))


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def bash(place: Path, script: str) -> str:
    """Run a guide's commands as bash does, in a folder; what they said."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        text=True,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout
