"""A class of about sixty per lab, graded by one command, undisturbed and again with three kills.

    python -m benchmarks.killed_runs 01_perceptron 02_backprop

Who is in it: the reference, an untouched lab, every named mistake (several to a notebook, one per
exercise, where they do not touch each other), notebooks that are broken and some that attack. Each
has its predicted marks. The class is graded once, then from the beginning by a command that is
killed (SIGKILL) at three random moments and given again. Prints what differs; exit code 1 if
anything does. It takes minutes.
"""

import argparse
import copy
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import jupytext
import nbformat
import numpy as np

from grading.answer import exercise
from grading.check import Notebook
from grading.checks.mistakes import Mistake
from tests import mistakes
from tests.labs import LABS, ROOT, answered, reference

Marks = dict[str, float]  # by exercise
KILLS = 3

# In a cell ahead of all others, without answers; `tests/attacks` has those that take their time.
ATTACKS = {
    "leaves": "import os\nos._exit(0)",
    "skips": "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])",
    "always-equal": (
        "class Equal(float):\n    __eq__ = lambda *_: True\n    __hash__ = float.__hash__\n"
        "import builtins\nbuiltins.NotImplementedError = Equal"
    ),
    "takes-memory": "kept = []\nwhile True:\n    kept.append(bytearray(50_000_000))",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.killed_runs", description=__doc__)
    parser.add_argument("labs", nargs="*", metavar="LAB", default=LABS[:2], help="default: 01, 02")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    faults = [fault for lab in options.labs for fault in class_of(lab, rng)]
    print("\n".join(faults) if faults else "Every mark was as predicted, killed or not.")
    return 1 if faults else 0


def class_of(lab: str, rng: random.Random) -> list[str]:
    """Grade a class of this lab twice; returns what is not as predicted."""
    with tempfile.TemporaryDirectory(prefix="sixty-") as folder:
        work = Path(folder)
        predicted = hand_in(lab, work / "submitted")
        print(f"{lab}: {len(predicted)} submissions", flush=True)
        start = time.monotonic()
        graded(lab, work / "submitted", work / "undisturbed").wait()
        seconds = time.monotonic() - start
        kill_often(lab, work, seconds, rng)
        whole, resumed = (read(lab, work / name) for name in ("undisturbed", "killed"))
        return [*differences("predicted", predicted, whole), *differences("whole", whole, resumed)]


def graded(lab: str, submitted: Path, results: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "grading", "autograde", lab, str(submitted)]
    return subprocess.Popen([*command, "--results", str(results)], cwd=ROOT)


def kill_often(lab: str, work: Path, seconds: float, rng: random.Random) -> None:
    """Grade, killed KILLS times at random; after each kill no half result may be there."""
    for _ in range(KILLS):
        running = graded(lab, work / "submitted", work / "killed")
        time.sleep(rng.uniform(0.1, 1.2) * seconds / KILLS)
        running.kill()
        running.wait()
        whole = read(lab, work / "killed")
        print(f"killed with {len(whole)} results", flush=True)
    status = graded(lab, work / "submitted", work / "killed").wait()
    assert status == 0, f"the last run ended with {status}"


def read(lab: str, results: Path) -> dict[str, Marks]:
    """The marks by student. Raises ValueError for a result that is not whole."""
    found = {}
    for file in sorted(results.glob(f"*/{lab}.json")):
        result = json.loads(file.read_bytes())
        found[file.parent.name] = {one["name"]: one["score"] for one in result["exercises"]}
    return found


def differences(name: str, wanted: Mapping[str, Marks], got: Mapping[str, Marks]) -> Iterator[str]:
    for student, marks in wanted.items():
        if got.get(student) != marks:
            yield f"{student}: {name} {marks}, got {got.get(student)}"


# The class


def hand_in(lab: str, folder: Path) -> dict[str, Marks]:
    """Write the class's notebooks; returns the marks that each must get."""
    points = {name: one.points for name, one in exercise.load(lab).items()}
    nothing = dict.fromkeys(points, 0.0)
    untouched = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
    solved = solve(lab, untouched)
    predicted: dict[str, Marks] = {}

    def put(student: str, notebook: dict[str, Any] | bytes, marks: Marks) -> None:
        file = folder / student / f"{lab}.ipynb"
        file.parent.mkdir(parents=True)
        file.write_bytes(notebook if isinstance(notebook, bytes) else as_bytes(notebook))
        predicted[student] = marks

    put("reference", solved, points)
    put("untouched", untouched, nothing)
    for number, (group, marks) in enumerate(groups(lab)):
        wrong = copy.deepcopy(solved)
        for mistake in group:
            answer_cells(wrong, mistake.exercise)[-1]["source"] += f"\n\n{mistake.code}"
        put(f"mistakes-{number:02}", wrong, {**points, **marks})
    for name, broken in broken_ones(solved).items():
        put(f"broken-{name}", broken, nothing)
    *_, last = points
    missing, twice = copy.deepcopy(solved), copy.deepcopy(solved)
    for cell in answer_cells(missing, last):
        missing["cells"].remove(cell)
    twice["cells"] += answer_cells(untouched, last)  # too late: the check stands before them
    put("cells-missing", missing, {**points, last: 0.0})
    put("cells-twice", twice, points)
    for name, code in ATTACKS.items():
        attack = copy.deepcopy(untouched)
        attack["cells"].insert(1, nbformat.v4.new_code_cell(code, id=f"attack-{name}"))
        first = answer_cells(attack, next(iter(points)))[0]
        first["source"] = f"{code}\n"
        put(f"attack-{name}", attack, nothing)
    return predicted


def solve(lab: str, untouched: dict[str, Any]) -> dict[str, Any]:
    """The lab with the reference's answers in its answer cells."""
    source = jupytext.read(ROOT / "solutions" / f"{lab}.py")
    answers = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in source.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    solved = copy.deepcopy(untouched)
    for cell in solved["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        cell["source"] = answers.get(about.get("grade_id"), cell["source"])
    return solved


def answer_cells(notebook: dict[str, Any], name: str) -> list[dict[str, Any]]:
    def answers(cell: dict[str, Any]) -> bool:
        about = cell["metadata"].get("nbgrader", {})
        return about.get("solution") and about["grade_id"].startswith(f"{name}_")

    return [cell for cell in notebook["cells"] if answers(cell)]


def groups(lab: str) -> Iterator[tuple[list[Mistake], Marks]]:
    """Every named mistake, as many to a notebook as keep their marks beside each other."""
    waiting = mistakes.load(lab)
    while waiting:
        group: list[Mistake] = []
        for mistake in waiting:
            if mistake.exercise not in {one.exercise for one in group} and (
                not group or independent(lab, [*group, mistake])
            ):
                group.append(mistake)
        waiting = [mistake for mistake in waiting if mistake not in group]
        code = "\n\n".join(mistake.code for mistake in group)
        yield group, together(lab, code)


def independent(lab: str, group: list[Mistake]) -> bool:
    code = "\n\n".join(mistake.code for mistake in group)
    return all(here(lab, mistake.exercise, code) == mistake.points for mistake in group)


def here(lab: str, name: str, code: str) -> float:
    """The score of an exercise, judged in this process, where this code replaces the reference's,
    and the reference's other functions go on calling each other."""
    return score(lab, name, answered(lab, code))


def together(lab: str, code: str) -> Marks:
    """The scores of all exercises of a notebook in which this code stands: what calls a function
    that is wrong may be wrong, too."""
    functions = [one for one in reference(lab).values() if isinstance(one, FunctionType)]
    # What every function of the lab's own looks names up in.
    names = next(one.__globals__ for one in functions if one.__module__ == f"solution_{lab}")
    before = dict(names)
    try:
        exec(code, names)
        names["In"] = answered(lab, code)["In"]  # where forbidden library calls are looked for
        return {name: score(lab, name, names) for name in exercise.load(lab)}
    finally:
        names.clear()
        names.update(before)


def score(lab: str, name: str, namespace: dict[str, Any]) -> float:
    found = exercise.load(lab)[name]
    return exercise.run(found, Notebook(namespace), np.random.default_rng(0)).score


def broken_ones(solved: dict[str, Any]) -> dict[str, dict[str, Any] | bytes]:
    """Notebooks that are none, or not whole."""
    text = as_bytes(solved)
    julia = copy.deepcopy(solved)
    julia["metadata"]["kernelspec"] = {"name": "julia", "language": "julia", "display_name": "J"}
    julia["metadata"]["language_info"] = {"name": "julia"}
    return {
        "empty": b"",
        "truncated": text[: len(text) // 2],
        "text": b"Dear grader, please find my answers in the attachment.",
        "list": b"[1, 2, 3]",
        "latin-1": '{"cells": ["é"]}'.encode("latin-1"),
    }


def as_bytes(notebook: dict[str, Any]) -> bytes:
    return nbformat.writes(nbformat.from_dict(notebook)).encode()


if __name__ == "__main__":
    sys.exit(main())
