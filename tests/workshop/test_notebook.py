"""What a notebook tells a board, through `check` in a real kernel; a graded one tells nothing."""

import json
import os
import sqlite3
import sys
import types
from pathlib import Path
from unittest import mock

import pytest

from grading.answer.exercise import Part, Result
from grading.answer.fault import Fault
from grading.checks.mistakes import Known, Mistake, Table, misconception
from tests.notebooks import outputs_of
from tests.workshop.classroom import free_port

SETUP = """
from grading.check import checks, hand, hand_in, join, leave
check = checks("01_perceptron")
"""
NEURON = """\
def neuron(x, w, b, activation):
    z = float(w @ x + b)
    return max(z, 0.0) if activation == "relu" else {}"""
RIGHT, MINUS = NEURON.format("1.0 if z >= 0 else 0.0"), NEURON.format("1.0 if z >= 0 else -1.0")
CHECK = "check('neuron')"
JOIN = f'join("http://127.0.0.1:{free_port()}", "AAA-AAA", name="Anna")'


def run(folder: Path, *cells: str, **environment: str) -> list[str]:
    """What the cells show, in order."""
    own = {"LAB_PROGRESS": str(folder / "progress.jsonl"), **environment}
    with mock.patch.dict(os.environ, own):
        outputs = outputs_of(SETUP, *cells, allow_errors=True)
    return [
        "".join(one.get("text", "") or str(one.get("data")) for one in cell) for cell in outputs
    ]


def waiting(folder: Path) -> list[dict[str, object]]:
    with sqlite3.connect(folder / ".board.sqlite") as base:
        return [json.loads(body) for (body,) in base.execute("SELECT body FROM waiting")]


def test_a_check_queues_what_it_said_and_nothing_else(tmp_path: Path) -> None:
    cells = [JOIN, CHECK, MINUS, CHECK, RIGHT, CHECK, "check('no such exercise')", "hand('why?')"]
    shown = run(tmp_path, *cells)
    assert "Work on: your notebook goes on trying" in shown[1]
    assert "Your hand is up" in shown[-1]
    wrong, right, hand = waiting(tmp_path)  # an answer that is not there yet is no attempt
    assert wrong.pop("seconds") <= right.pop("seconds")  # type: ignore[operator]
    about = {"kind": "check", "lab": "01_perceptron", "exercise": "neuron"}
    assert wrong == {**about, "points": 0.6, "attempt": 1, "misconception": "minus one"}
    assert right == {**about, "points": 1.0, "attempt": 2, "misconception": ""}
    assert hand == {"kind": "hand", "text": "why?"}


def test_who_has_not_joined_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    shown = run(tmp_path, RIGHT, CHECK, "hand('why?')", "hand_in()", "leave()")
    assert all("You have joined no board" in one for one in shown[-3:])
    assert not (tmp_path / ".board.sqlite").exists()


def test_a_graded_notebook_that_joins_does_nothing(tmp_path: Path) -> None:
    environment = {"NBGRADER_EXECUTION": "autograde", "P2P_BOARD": "http://127.0.0.1:9 AAA Anna"}
    shown = run(tmp_path, JOIN, "hand('why?')", "hand_in()", "leave()", **environment)
    assert shown == [""] * 5
    assert list(tmp_path.iterdir()) == []


TABLE = Table(
    types.ModuleType("right"),
    [
        Known("double", "squared", 0, "That is x².", "def double(x): return x * x"),
        Known(
            "double", "squared, by a sum", 0, "That is x².", "def double(x): return sum([x] * x)"
        ),
        Mistake("double", "forgot to return", 0, "is a return missing", "def double(x): 2 * x"),
        Mistake("double", "no return of a list", 0, "a list; is a return missing", "double = id"),
        Mistake("double", "vague", 0, "wrong", "def double(x): return 0"),
        Known("halve", "doubled", 0, "That is 2x.", "def halve(x): return 2 * x"),
    ],
)


@pytest.mark.parametrize(
    ("message", "diagnosis", "name"),
    [
        ("It has the wrong value.", "That is x².", "squared"),
        ("It should be a number and is None (is a return missing?).", "", "forgot to return"),
        ("It should be a list; is a return missing?", "", "no return of a list"),
        ("It has the wrong value.", "", ""),
        ("It has the wrong value.", "That is 2x.", ""),
    ],
)
def test_a_misconception_is_told_by_its_name(
    message: str, diagnosis: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = types.ModuleType("grading.checks.answers.tiny")
    answers.MISTAKES = TABLE  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, answers.__name__, answers)
    result = Result(
        "00_tiny", "double", 1.0, [Part("it doubles", 1.0, Fault("value", message, diagnosis))]
    )
    assert misconception(result) == name


def test_a_lab_without_a_table_names_nothing() -> None:
    fault = Fault("value", "It has the wrong value.", "That is x².")
    assert misconception(Result("00_none", "double", 1.0, [Part("it doubles", 1.0, fault)])) == ""
