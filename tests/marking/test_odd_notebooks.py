"""Honest work in odd notebooks, as front ends, converters and people leave them: all get full
marks, through the real command, in one class."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grading.marking import submission
from tests.graded_course import LAB, MAX_SCORE, RIGHT, answered, make_course, released
from tests.needs import needs

pytestmark = needs("bwrap")

Notebook = dict[str, Any]
Odd = Callable[[Notebook], Any]  # changes a right notebook, or returns the bytes of another one

CLASS = """class Double:
    factor: float = 2

    def __call__(self, x: float) -> float:
        return self.factor * x

double = Double()"""


def code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}


def first(source: str) -> Odd:
    """A cell of the student's own at the top."""
    return lambda notebook: notebook["cells"].insert(0, code(source))


def last(source: str) -> Odd:
    return lambda notebook: notebook["cells"].append(code(source))


def at(name: str, change: Callable[[str], str]) -> Odd:
    """The cell `name` with another source."""

    def odd(notebook: Notebook) -> None:
        for cell in notebook["cells"]:
            if cell["id"] == name:
                cell["source"] = change(cell["source"])

    return odd


def from_colab(notebook: Notebook) -> None:
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {"colab": {"provenance": []}, "accelerator": "GPU"}
    for cell in notebook["cells"]:
        del cell["id"]
        cell["metadata"]["id"] = "Xy-1"


def of_vs_code(notebook: Notebook) -> None:
    notebook["metadata"] = {"language_info": {"name": "python3"}, "vscode": {"interpreter": {}}}


def in_format_3(notebook: Notebook) -> bytes:
    cells = []
    for cell in copy.deepcopy(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
            cell["language"] = "python"
        cells.append(cell)
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}
    return json.dumps(old).encode()


def without_metadata(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def without_outputs(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        for key in ("outputs", "execution_count", "metadata"):
            if key != "metadata" or "nbgrader" not in cell["metadata"]:
                cell.pop(key, None)


def an_old_try_above(notebook: Notebook) -> None:
    index = next(i for i, cell in enumerate(notebook["cells"]) if cell["id"] == "double_code")
    old = {**copy.deepcopy(notebook["cells"][index]), "id": "old", "source": "double = None"}
    notebook["cells"].insert(index, old)


def checks_at_the_end(notebook: Notebook) -> None:
    cells = notebook["cells"]
    notebook["cells"] = [c for c in cells if not _is_check(c)] + [c for c in cells if _is_check(c)]


def _is_check(cell: dict[str, Any]) -> bool:
    return cell["source"].startswith("check(")


def lines(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)


ODD: dict[str, Odd] = {
    "colab": from_colab,
    "vscode": of_vs_code,
    "format3": in_format_3,
    "bom": lambda notebook: b"\xef\xbb\xbf" + json.dumps(notebook).encode(),
    "crlf": at("double_code", lambda source: source.replace("\n", "\r\n")),
    "lines": lines,
    "stripped": without_metadata,
    "no_outputs": without_outputs,
    "old_try": an_old_try_above,
    "checks_last": checks_at_the_end,
    "no_kernelspec": lambda notebook: notebook.update(metadata={}),
    "conda": lambda notebook: notebook["metadata"].update(
        kernelspec={"name": "conda-env-ml-py", "display_name": "ML"}
    ),
    "widgets": lambda notebook: notebook["metadata"].update(
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {}}}
    ),
    "timed": at("double_code", lambda source: f"%%time\n{source}"),
    "shell": first("!ls\n%matplotlib inline\n%load_ext autoreload\n%autoreload 2"),
    "help": first("len?\nprint??"),
    "exit_first": first("exit()"),
    "exit_last": last("quit()"),
    "strict_numpy": first("import numpy as np\nnp.seterr(all='raise')"),
    "warnings": first("import warnings\nwarnings.simplefilter('error')"),
    "elsewhere": first("import os\nos.chdir('/')\nos.environ['LAB_SCALE'] = 'gpu'"),
    "recursion": first("import sys\nsys.setrecursionlimit(150)"),
    "loud": first("print('x' * 1_000_000)"),
    "fails": first("1 / 0"),
    "sleeps": first("import time\ntime.sleep(2)"),
    "threads": first("import threading\nthreading.Timer(600, print).start()"),
    "class": at("double_code", lambda _: CLASS),
    "partial": at(
        "double_code",
        lambda _: "import functools, operator\ndouble = functools.partial(operator.mul, 2)",
    ),
    "annotated": at("guess_code", lambda _: "guess: str = 'yes'"),
    "unicode": at("double_code", lambda _: "def double(β):\n\treturn 2 * β  # 二倍 👍🏽"),
}


def test_honest_work_gets_full_marks_in_whatever_notebook(tmp_path: Path) -> None:
    root = make_course(tmp_path / "course")
    for name, odd in ODD.items():
        notebook = answered(released(root), RIGHT)
        content = odd(notebook)
        file = root / "handed_in" / name / f"{LAB}.ipynb"
        file.parent.mkdir(parents=True)
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(notebook).encode())
    command = [sys.executable, "-m", "grading", "autograde", "1", str(root / "handed_in")]
    done = subprocess.run(
        [*command, "--results", str(root / "results"), "--course", str(root)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = {
        name: json.loads((root / "results" / name / f"{LAB}.json").read_bytes()) for name in ODD
    }
    missed = {
        name: [one["message"] for one in result["exercises"]] + result["notes"]
        for name, result in results.items()
        if result["score"] != MAX_SCORE
    }
    assert not missed, done.stdout


@pytest.mark.parametrize("name", ["stripped", "format3"])
def test_what_was_odd_is_said_in_one_sentence(name: str, tmp_path: Path) -> None:
    root = make_course(tmp_path / "course")
    notebook = answered(released(root), RIGHT)
    content = ODD[name](notebook)
    content = content if isinstance(content, bytes) else json.dumps(notebook).encode()
    released_bytes = (root / "labs" / f"{LAB}.ipynb").read_bytes()
    found = submission.read(content, released_bytes, ["double", "guess", "average"])
    assert len(found.notes) == 1
