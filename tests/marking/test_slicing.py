"""Which cells run when a notebook is graded: what answers stand on, and what cannot be told.

Each notebook is a list of cells; a cell whose first line says `# not run` is the one left out.
"""

import json
from typing import Any

import jupytext
import pytest

from grading.answer import exercise
from grading.marking import slicing, submission
from grading.marking.slicing import Slicer
from tests.labs import LABS, ROOT

ANSWER = "def double(x):\n    return x * factor"
NOTEBOOKS = {
    "a demonstration": [
        "# not run\nimport numpy as np",
        "factor = 2",
        "# not run\nprint(np.ones(3))",
        ANSWER,
        "# not run\ny = double(3)",
        "# not run\nprint(y)",
    ],
    "names back to names": ["# not run\nz = 1", "a = 1", "b = a + 1", "factor = b", ANSWER],
    "the last value before it": [
        "# not run\na = 1",
        "a = 2",
        "factor = a",
        "# not run\na = 3",
        ANSWER,
    ],
    "a value that counts when it is called": ["factor = 1", ANSWER, "factor = 2"],
    "cells out of order": [
        "def double(x):\n    return half(x) * 4",
        "def half(x):\n    return x / 2",
    ],
    "a condition": ["a = 1", "if a:\n    factor = 2\nelse:\n    other = 3", ANSWER],
    "perhaps another value": ["a = 1", "if double:\n    a = 2", "factor = a", ANSWER],
    "either way a value": [
        "# not run\na = 1",
        "if 1:\n    a = 2\nelse:\n    a = 3",
        "factor = a",
        ANSWER,
    ],
    "an augmented assignment": ["factor = 1", "factor += 1", ANSWER],
    "a deleted name": ["factor = 1", "del factor", ANSWER],
    "a star": ["from math import *", "factor = pi", ANSWER],
    "exec": ["exec('factor = 2')", ANSWER],
    "globals": ["globals()['factor'] = 2", ANSWER],
    "magics": ["%matplotlib inline", "!ls", "%%bash\nls", "factor = 2", ANSWER],
    "a timed cell": ["%%time\nfactor = 2", ANSWER, "%%time\n# not run\nprint(double(3))"],
    "what is no Python": ["factor = 2", "factor = = 3", ANSWER],
    "what does not compile": ["factor = 2", "nonlocal factor", ANSWER],
    "a function that sets it": ["def put():\n    global factor\n    factor = 2", "put()", ANSWER],
    "by a function's function": [
        "table = {}",
        "def put(k):\n    table[k] = 2",
        "def twice():\n    put('a')\n    put('b')",
        "twice()",
        "factor = table['a']",
        ANSWER,
    ],
    "in place": ["factor = [1]", "factor[0] = 2", "factor.append(3)", "change(factor)", ANSWER],
    "by another name": ["factor = [1]", "other = factor", "other[0] = 2", ANSWER],
    "part of it": ["factor = [[1]]", "for row in factor:\n    row.append(2)", ANSWER],
    "what is computed from it": [
        "factor = [1]",
        "# not run\nlonger = factor + [1]",
        "# not run\nlonger.append(2)",
        ANSWER,
    ],
    "a monkey patch": ["import torch", "torch.relu = None", "factor = 2", ANSWER],
    "a patch by setattr": ["import torch", "setattr(torch, 'relu', None)", "factor = 2", ANSWER],
    "an attribute of the answer": ["factor = 2", ANSWER, "double.calls = 0"],
    "a decorator": [
        "import functools",
        "factor = 2",
        "def twice(f):\n    return functools.wraps(f)(lambda x: 2 * f(x))",
        f"@twice\n{ANSWER}",
    ],
    "a default": [
        "# not run\nrest = 1",
        "two = 2",
        "def double(x, factor=two):\n    return x * two",
    ],
    "a class": ["factor = 2", "class Base:\n    by = factor", "class double(Base):\n    pass"],
    "a comprehension": [
        "rows = [1, 2]",
        "# not run\nrow = 3",
        "factor = sum(row for row in rows)",
        ANSWER,
    ],
    "its own names": [
        "# not run\nx = 3",
        "# not run\nresult = 4",
        "factor = 2",
        "def double(x):\n    result = factor * x\n    return result",
    ],
    "a later twin": ["factor = 2", ANSWER, "double = lambda x: 0"],
    "a block that may be left early": [
        "check = 3",
        "factor = 1",
        "with check.needs('double'):\n    factor = 2",
        ANSWER,
    ],
    "an attempt": [
        "try:\n    import cupy\n    factor = 1\nexcept ImportError:\n    factor = 2",
        ANSWER,
    ],
    "a walrus": ["print(factor := 2)", ANSWER],
    "a match": ["match 3:\n    case factor:\n        pass", ANSWER],
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_cell_runs_if_the_answer_stands_on_it_or_the_text_cannot_tell(name: str) -> None:
    cells = NOTEBOOKS[name]
    run = Slicer([(cell, False) for cell in cells]).slice(["double"], []).cells
    wanted = {at for at, cell in enumerate(cells) if "# not run" not in cell}
    assert {cells[at] for at in run} == {cells[at] for at in wanted}


def test_the_courses_own_cells_change_nothing_that_they_call_a_function_with() -> None:
    cells = ["factor = [2]", "draw(factor)", "factor.append(1)", ANSWER]
    own = Slicer([(cell, True) for cell in cells]).slice(["double"], [])
    anybodys = Slicer([(cell, False) for cell in cells]).slice(["double"], [])
    assert own.cells == {0, 2, 3}
    assert anybodys.cells == {0, 1, 2, 3}
    assert own.unsettled == {"factor"}


def test_only_values_that_other_cells_give_leave_a_doubt() -> None:
    cells = ["import math", "two = 2", "def half(x):\n    return x / two", "weights = [half(2)]"]
    slicer = Slicer([(cell, True) for cell in cells])
    assert not slicer.slice(["weights"], [3]).unsettled
    assert slicer.slice(["more"], []).unsettled == set()
    more = Slicer([(cell, True) for cell in [*cells, "more = weights + [1]"]])
    assert more.slice(["more"], [4]).unsettled == {"weights"}


@pytest.mark.parametrize("lab", LABS)
def test_of_every_lab_no_more_than_half_of_the_cells_run(lab: str) -> None:
    work = read(lab, jupytext.read(ROOT / "solutions" / f"{lab}.py"))
    runs = [step.index for step in work.steps if isinstance(step, submission.Run)]
    assert len(work.left_out.cells) > len(runs) / 2
    assert not work.left_out.changed


@pytest.mark.parametrize(
    "cell", ["x = 1\n" * 100_000, "x = " + "-" * 3000 + "1", "x = " + "1 + " * 3000 + "1"]
)
def test_what_is_too_large_or_too_deep_to_tell_is_run_whole(cell: str) -> None:
    book = {"cells": [{"cell_type": "code", "source": cell, "metadata": {}}]}
    work = read(LABS[0], book)
    assert not work.left_out.cells
    assert any(submission.Run(cell, 0) == step for step in work.steps)


def read(lab: str, book: Any) -> submission.Submission:
    released = (ROOT / "labs" / f"{lab}.ipynb").read_bytes()
    names = list(exercise.load(lab))
    whole = submission.read(json.dumps(book).encode(), released, names)
    asked = slicing.asked_by(ROOT / "grading" / "checks" / f"{lab}.py")
    return slicing.sliced(whole, json.loads(released), names, asked)
