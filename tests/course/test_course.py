"""The labs themselves, whole: through papermill and through stock nbgrader."""

import os
import subprocess
import sysconfig
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbgrader.api import Gradebook

from grading.course.execute import execute_all
from grading.course.release import release
from grading.course.source import read
from tests.labs import LABS, ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A course with this one's sources and notebooks. What it executes is kept for `make site`."""
    (ROOT / "build").mkdir(exist_ok=True)
    for folder in ("solutions", "labs", "build"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    return tmp_path


@pytest.mark.parametrize("lab", LABS)
def test_papermill_executes_the_lab(
    lab: str, copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Full marks for the solution; "not done" for the untouched lab, and nothing in it breaks."""
    status = execute_all(copy, lab)
    printed = capfd.readouterr()
    assert status == 0, printed.out + printed.err
    assert f"{lab} " in printed.out


def test_stock_nbgrader_gives_the_references_full_marks(tmp_path: Path) -> None:
    """generate_assignment, autograde and generate_feedback, with nbgrader's own Execute."""
    labs = LABS[:2]  # in one gradebook; one is graded, as how it is run does not depend on the lab
    (tmp_path / "solutions").mkdir()
    for lab in labs:
        (tmp_path / "solutions" / f"{lab}.py").symlink_to(ROOT / "solutions" / f"{lab}.py")
    release(tmp_path)
    course = tmp_path / "course"
    for lab in labs:
        folder = course / "submitted" / "reference" / lab
        folder.mkdir(parents=True)
        nbformat.write(read(ROOT / "solutions" / f"{lab}.py"), folder / f"{lab}.ipynb")
    for lab in labs:
        _nbgrader(course, "generate_assignment", lab, "--force")
    for command in ("autograde", "generate_feedback"):
        _nbgrader(course, command, labs[0], "--force")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        assert gradebook.find_submission(labs[0], "reference").score == 10
    assert (course / "feedback" / "reference" / labs[0] / f"{labs[0]}.html").exists()


def _nbgrader(course: Path, *arguments: str) -> None:
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    stock = "--Autograde.autograde_preprocessors=[" + ",".join(_STOCK) + "]"
    ran = subprocess.run(
        [f"{scripts}/nbgrader", *arguments, stock],
        cwd=course,
        env={**os.environ, "PATH": path, "LAB_SCALE": "smoke", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr


_STOCK = [
    f"'nbgrader.preprocessors.{name}'"
    for name in ("Execute", "LimitOutput", "SaveAutoGrades", "AssignLatePenalties")
]


def test_every_released_lab_has_its_source() -> None:
    assert LABS
    for lab in LABS:
        assert jupytext.read(ROOT / "solutions" / f"{lab}.py").cells
        assert (ROOT / "labs" / f"{lab}.ipynb").exists()
