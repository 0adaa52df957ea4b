"""`check(...)` and `progress()` in a real kernel, as a notebook has them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

SETUP = "from grading.check import checks, progress\ncheck = checks('01_perceptron')"
RIGHT = """
def perceptron_update(w, b, x, y, lr):
    if y * (w @ x + b) > 0:
        return w, b
    return w + lr * y * x, b + lr * y
"""
# The label is forgotten, and NumPy writes a warning to stderr.
WRONG = """
import numpy as np
def perceptron_update(w, b, x, y, lr):
    np.log(-1.0)
    if y * (w @ x + b) > 0:
        return w, b
    return w + lr * x, b + lr
"""
CHECK = "check('perceptron_update')"


@pytest.fixture
def progress_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "progress.jsonl"
    with mock.patch.dict(os.environ, {"LAB_PROGRESS": str(file)}):
        yield file


def run(*sources: str, **environment: str) -> list[list[nbformat.NotebookNode]]:
    """The outputs of each cell after the set-up."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in (SETUP, *sources)])
    with mock.patch.dict(os.environ, environment):
        NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute()
    return [cell.outputs for cell in notebook.cells[1:]]


def shown(outputs: list[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """The one result that a check displayed, among what the learner's own code printed."""
    (output,) = [one for one in outputs if one.output_type == "display_data"]
    return output


def test_a_result_is_displayed_in_both_forms_with_its_points(progress_file: Path) -> None:
    _, right, _, wrong, missing = run(RIGHT, CHECK, WRONG, CHECK, "check('perceptron_updat')")
    for outputs, status in ((right, "passed"), (wrong, None)):
        output = shown(outputs)
        assert "perceptron_update" in output.data["text/plain"]
        assert "perceptron_update" in output.data["text/html"]
        about = output.metadata["grading"]
        assert about["lab"] == "01_perceptron"
        assert (
            (about["score"] == about["points"])
            == (status == "passed")
            == (about["status"] == "passed")
        )
    assert "label" in shown(wrong).data["text/plain"]
    assert "Did you mean 'perceptron_update'?" in missing[0].data["text/plain"]


def test_an_error_shows_the_line_of_the_notebooks_cell(progress_file: Path) -> None:
    broken = "def perceptron_update(w, b, x, y, lr):\n    scale = lr\n    return w + skale * x, b"
    _, (output,) = run(broken, CHECK)
    assert (
        "raised NameError in line 3 of its cell:  return w + skale * x, b"
        in (output.data["text/plain"])
    )


def test_standing_is_kept_and_shown(progress_file: Path) -> None:
    run(WRONG, CHECK, RIGHT, CHECK, CHECK)
    entries = [json.loads(line) for line in progress_file.read_text().split("\n") if line]
    assert [entry["exercise"] for entry in entries] == ["perceptron_update"] * 2
    assert entries[0]["score"] < entries[1]["score"]
    ((table,),) = run("progress()")
    (line,) = [one for one in table.data["text/plain"].splitlines() if "perceptron_update" in one]
    assert line.split()[1] == line.split()[3] != "0"


def test_a_damaged_progress_file_loses_only_the_damaged_line(progress_file: Path) -> None:
    run(RIGHT, CHECK)
    with progress_file.open("a") as stream:
        stream.write('\n{"lab": "01_perc')
    _, _, (table,) = run(RIGHT, CHECK, "progress()")
    assert "perceptron_update" in table.data["text/plain"]
    assert progress_file.read_text().count("perceptron_update") == 1


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
    points = shown(wrong).metadata["grading"]["score"]
    assert float(result.data["text/plain"]) == points
    assert not [o for o in wrong if o.output_type == "stream" and o.name == "stderr"]
    assert not progress_file.exists()


def test_an_endless_loop_leaves_the_kernel_usable(progress_file: Path) -> None:
    short = (
        "import dataclasses; from grading import exercise\n"
        "all = exercise.load('01_perceptron')\n"
        "all['perceptron_update'] = dataclasses.replace(all['perceptron_update'], time_limit=1)"
    )
    loop = "def perceptron_update(w, b, x, y, lr):\n    while True: pass"
    _, _, stopped, _, right = run(short, loop, CHECK, RIGHT, CHECK)
    assert "stopped after 1 seconds" in stopped[0].data["text/plain"]
    assert right[0].metadata["grading"]["status"] == "passed"
