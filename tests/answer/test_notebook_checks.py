"""`check(...)` and `progress()` in a real kernel, as a notebook has them."""

import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from unittest import mock

import nbformat
import pytest

from tests.notebooks import outputs_of

LAB = """
from grading.checks import expect
from grading.answer.exercise import exercise, part

@exercise("double", points=2, time_limit=1)
def double(student, rng):
    with part("numbers are doubled", points=1.5):
        expect.close(student.double(3.0), 6.0, knows={"That is the square.": 9.0})
    with part("zero stays zero", points=0.5):
        expect.close(student.double(0.0), 0.0)
"""
RIGHT = "def double(x):\n    return 2 * x"
# A wrong answer for which, besides, NumPy writes a warning to stderr.
WRONG = "import numpy as np\ndef double(x):\n    np.log(-1.0)\n    return x * x"
SETUP = """
import os; from pathlib import Path
from grading.answer import exercise; exercise.CHECKS = Path(os.environ["TINY_CHECKS"])
from grading.check import checks, progress
check = checks("00_tiny")
"""
CHECK = "check('double')"


@pytest.fixture(autouse=True)
def checks_folder(tmp_path: Path) -> Iterator[None]:
    """A course of one tiny lab; its folder travels to the kernel in an environment variable."""
    (tmp_path / "00_tiny.py").write_text(LAB)
    with mock.patch.dict(os.environ, {"TINY_CHECKS": str(tmp_path)}):
        yield


@pytest.fixture
def progress_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "progress.jsonl"
    with mock.patch.dict(os.environ, {"LAB_PROGRESS": str(file)}):
        yield file


def run(*sources: str, **environment: str) -> list[list[nbformat.NotebookNode]]:
    """The outputs of each cell after the set-up."""
    with mock.patch.dict(os.environ, environment):
        return outputs_of(SETUP, *sources, allow_errors=True)[1:]


def shown(outputs: list[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """The one result that a check displayed, among what the learner's own code printed."""
    (output,) = [one for one in outputs if one.output_type == "display_data"]
    return output


def words(output: nbformat.NotebookNode) -> str:
    return " ".join(output.data["text/plain"].split())


def test_a_result_is_displayed_in_both_forms_with_its_points(progress_file: Path) -> None:
    _, right, _, wrong, missing = run(RIGHT, CHECK, WRONG, CHECK, "check('doubel')")
    for outputs, score in ((right, 2), (wrong, 0.5)):
        output = shown(outputs)
        assert f"{score:g} of 2 points" in output.data["text/plain"]
        assert f"{score:g} of 2 points" in output.data["text/html"]
        about = output.metadata["grading"]
        assert (about["lab"], about["exercise"]) == ("00_tiny", "double")
        assert (about["score"], about["points"]) == (score, 2)
        assert sum(one["points"] for one in about["parts"] if one["passed"]) == score
    assert "That is the square." in shown(wrong).data["text/plain"]
    assert "Did you mean 'double'?" in missing[0].data["text/plain"]


def test_an_error_shows_the_line_of_the_notebooks_cell(progress_file: Path) -> None:
    _, outputs = run("def double(x):\n    y = x\n    return y * factor", CHECK)
    line = "raised NameError in line 3 of its cell:  return y * factor"
    assert line in shown(outputs).data["text/plain"]


def test_standing_is_kept_and_shown(progress_file: Path) -> None:
    _, _, (table,), *_ = run(WRONG, CHECK, "progress()", RIGHT, CHECK, CHECK, WRONG, CHECK)
    assert "double 0.5 of 2" in words(table)
    entries = [json.loads(line) for line in progress_file.read_text().split("\n") if line]
    assert [entry["score"] for entry in entries] == [0.5, 2], "the best, once"
    assert {entry["on"] for entry in entries} == {date.today().isoformat()}
    ((table,),) = run("progress()")
    assert "00_tiny 2 of 2 points last on 20" in words(table)


def test_a_damaged_progress_file_loses_only_the_damaged_line(progress_file: Path) -> None:
    run(RIGHT, CHECK)
    with progress_file.open("a") as stream:
        stream.write('\n{"lab": "00_ti')
    _, _, (table,) = run(RIGHT, CHECK, "progress()")
    assert "00_tiny 2 of 2 points" in words(table)
    assert progress_file.read_text().count("double") == 1


def test_a_standing_that_cannot_be_saved_is_said_and_the_result_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _, outputs = run(RIGHT, CHECK, LAB_PROGRESS=str(tmp_path / "file" / "progress.jsonl"))
    assert outputs[0].metadata["grading"]["status"] == "passed"
    assert "could not be saved" in outputs[1].text


def test_needs_waits_for_an_unwritten_exercise_and_hides_nothing_else(progress_file: Path) -> None:
    stub = "def f(): raise NotImplementedError"
    block = "with check.needs('f'):\n    print(f())"
    _, waiting, _, done, _, broken = run(
        stub, block, "def f(): return 'done'", block, "def f(): return 1 / 0", block
    )
    assert "run it again once the exercise is done" in waiting[0].text
    assert done[0].text == "done\n"
    assert broken[0].ename == "ZeroDivisionError"


def test_under_nbgrader_the_cell_returns_the_points(progress_file: Path) -> None:
    _, right, _, wrong = run(RIGHT, CHECK, WRONG, CHECK, NBGRADER_EXECUTION="autograde")
    assert [output.output_type for output in right] == ["display_data"]
    result = next(output for output in wrong if output.output_type == "execute_result")
    assert result.data["text/plain"] == "0.5"
    assert not [o for o in wrong if o.output_type == "stream" and o.name == "stderr"]
    assert not progress_file.exists()


def test_a_file_that_hides_the_courses_utils_is_named(
    progress_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "utils.py").write_text("")
    monkeypatch.chdir(tmp_path)
    said = outputs_of(SETUP, "1")[0]
    assert f"{tmp_path / 'utils.py'} hides the course's own `utils`" in said[0].text


def test_an_endless_loop_leaves_the_kernel_usable(progress_file: Path) -> None:
    loop = "def double(x):\n    while True: pass"
    _, stopped, _, right = run(loop, CHECK, RIGHT, CHECK)
    assert "stopped after 1 second," in shown(stopped).data["text/plain"]
    assert shown(right).metadata["grading"]["status"] == "passed"


def test_a_notebook_speaks_as_its_folder_is_called_and_the_points_are_the_same_ones(
    progress_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "ja"
    place.mkdir()
    monkeypatch.chdir(place)
    board, _, right, (table,) = run(
        "from grading.check import hand; hand()", RIGHT, CHECK, "progress()"
    )
    assert "まだボードに参加していません" in board[0].text
    assert "2点中2点" in words(shown(right))
    assert "2点中 2点" in words(table)
    monkeypatch.chdir(tmp_path)
    ((table,),) = run("progress()")
    assert "00_tiny 2 of 2 points" in words(table)
