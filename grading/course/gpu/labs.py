"""A lab's solution as a plain script, cell by cell, with what its checks said."""

import io
import os
import sys
import time
import traceback
import types
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from grading.answer import exercise, render
from grading.course.cells import Cell, code_cells

ENOUGH = 3  # failures that are told: later ones mostly follow from the first

Note = Callable[[dict[str, Any]], None]


def run(root: Path, lab: str, scale: str, note: Note) -> None:
    """Run all cells, also those after one that failed; `note` what is known after each of them."""
    os.environ["LAB_SCALE"] = scale
    file = root / "solutions" / f"{lab}.py"
    known, cells = exercise.load(lab), code_cells(file)
    found: dict[str, Any] = {
        "points": 0.0,
        "of": sum(one.points for one in known.values()),
        "checks": {},
        "cells": len(cells),
        "ran": 0,
        "headlines": [],
        "failures": [],
    }
    main = types.ModuleType("__main__")  # where pickles look a lab's functions up
    main.__file__ = str(file)
    sys.modules["__main__"] = main
    start, results = time.perf_counter(), dict[str, exercise.Result]()
    for cell in cells:
        note(found | {"at": f"line {cell.line}"})
        said, failure = _run(cell, file, vars(main))
        found["ran"] += not failure
        found["headlines"] += said
        if failure:
            found["failures"] = (found["failures"] + [failure])[:ENOUGH]
        results = getattr(vars(main).get("check"), "results", {})
        found["checks"] = {name: [one.score, one.points] for name, one in results.items()}
        found["points"] = sum(one.score for one in results.values())
    for result in results.values():
        if result.status != "passed":
            found["failures"].append(_first_fault(result))
    found["seconds"] = time.perf_counter() - start
    note(found)


def _run(cell: Cell, file: Path, namespace: dict[str, Any]) -> tuple[list[str], str]:
    """What a cell tagged `headline` printed, by lines, and why it failed; "" where it did not."""
    printed, failure = io.StringIO(), ""
    headline = "headline" in cell.metadata.get("tags", [])
    with redirect_stdout(printed if headline else sys.stdout):
        try:
            exec(cell.compiled(file), namespace)
        except Exception as error:
            traceback.print_exc()
            failure = f"line {_line(error, file) or cell.line}: {in_a_line(error)}"
    print(printed.getvalue(), end="")
    lines = [line for line in printed.getvalue().splitlines() if not line.startswith("[figure]")]
    return lines, failure


def _line(error: BaseException, file: Path) -> int:
    """The last line of the lab's own on the way to the error."""
    walked = traceback.walk_tb(error.__traceback__)
    own = [line for frame, line in walked if frame.f_code.co_filename == str(file)]
    return own[-1] if own else 0


def in_a_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:300].rstrip(": ")


def _first_fault(result: exercise.Result) -> str:
    fault = next(part.fault for part in result.parts if part.fault is not None)
    print(render.text(result))
    return f"{result.exercise}: {result.score:g} of {result.points:g} points: {fault.message}"
