"""The example in CONTRIBUTING.md is a lab that works, from empty file to released notebook."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest

from grading.answer import exercise
from grading.check import Notebook
from grading.checks import answers
from grading.course.release import release
from tests import mistakes
from tests.labs import ROOT

EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A course that has the files of the guide's example and nothing else."""
    files = dict(EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert len(files) == 3
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(exercise, "CHECKS", tmp_path / "grading" / "checks")
    theirs = [*answers.__path__, str(tmp_path / "grading" / "checks" / "answers")]
    monkeypatch.setattr(answers, "__path__", theirs)
    yield tmp_path
    sys.modules.pop("grading.checks.answers.double", None)


def test_the_example_is_released_without_its_solution(course: Path) -> None:
    (path,) = release(course)
    released = nbformat.read(path, as_version=4)
    (answer,) = [
        cell for cell in released.cells if cell.metadata.get("nbgrader", {}).get("solution")
    ]
    assert "raise NotImplementedError" in answer.source
    assert "return 2 * x" not in path.read_text(encoding="utf-8")


def test_the_examples_mistakes_get_their_diagnoses(course: Path) -> None:
    one = exercise.load("98_double")["double"]
    listed = mistakes.load("98_double")
    assert len(listed) == 3
    for mistake in listed:
        namespace: dict[str, object] = {}
        exec(mistake.code, namespace)
        result = exercise.run(one, Notebook(namespace), np.random.default_rng())
        assert result.score == mistake.points
        fault = result.parts[0].fault
        assert fault is not None
        assert mistake.says in " ".join(fault.lines())
