"""Misconceptions, each written once: as an answer for the tests, and for a check to recognise.

A lab's table is `MISTAKES` in `answers/<lab>.py`, beside its right answers. A row's code is what a
learner would have written, in full; it stands in place of the right answers of the same names.

    Known("double", "squared", 0, "That is x²: double adds.", "def double(x): return x * x")
    Mistake("double", "forgot to return", 0, "is a return missing", "def double(x): 2 * x")

A `Known` one is recognised by its value: after a mismatch the check runs the row's code on the same
inputs, and a learner who got the same value is told the sentence. What a check names in another way
(an exception, a type, a changed argument) is a plain `Mistake`: `says` is a piece of what it says.
The tests answer with every row and require its points and its diagnosis.
"""

import copy
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grading.answer.exercise import Result
from grading.answer.fault import Fault


@dataclass(frozen=True)
class Mistake:
    """One wrong answer to one exercise.

    points: those that it gets, fewer than the exercise has. says: text that its diagnosis must
    contain. code: what the learner wrote, in full.
    """

    exercise: str
    name: str
    points: float
    says: str
    code: str


@dataclass(frozen=True)
class Known(Mistake):
    """A wrong answer that shows in its value; `says` is its whole diagnosis."""


class Table:
    """The mistakes of a lab, over its right answers.

    right: the module of the right answers (`sys.modules[__name__]`); code may use all its names.
    """

    def __init__(self, right: types.ModuleType, rows: Iterable[Mistake]) -> None:
        self.right, self.rows = right, list(rows)
        self._built: dict[Known, types.SimpleNamespace] = {}

    def __iter__(self) -> Iterator[Mistake]:
        return iter(self.rows)

    def values(
        self, exercise: str, of: Callable[[Any], Any], name: str = "", says: Sequence[str] = ("",)
    ) -> Iterator[tuple[str, Any]]:
        """(diagnosis, value) of each known mistake of an exercise, each computed when it is asked
        for: what `expect.close(..., knows=)` takes.

        of: computes the value from the learner's names, such as `lambda own: own.double(3.0)`.
        name: of the function or value whose mistakes are meant; default: all of the exercise.
        says: pieces of their diagnoses, of which one is enough.
        """
        for row in self.rows:
            wanted = type(row) is Known and row.exercise == exercise
            if wanted and any(piece in row.says for piece in says):
                own = self._names(row)
                if name and getattr(own, name, None) is getattr(self.right, name, None):
                    continue
                try:
                    yield row.says, of(own)
                except Exception:  # a wrong answer may fail on these inputs: it is not this one
                    continue

    def call(
        self, exercise: str, *args: Any, says: Sequence[str] = ("",), **kwargs: Any
    ) -> Iterator[tuple[str, Any]]:
        """`values` of a call of the function that has the exercise's name, on copies."""
        return self.values(
            exercise,
            lambda own: getattr(own, exercise)(*copy.deepcopy(args), **copy.deepcopy(kwargs)),
            says=says,
        )

    def written(self, exercise: str, name: str) -> Iterator[tuple[str, Any]]:
        """`values` of a name to which the learner gave a value."""
        return self.values(exercise, lambda own: getattr(own, name), name)

    def recognised(self, exercise: str, faults: Sequence[Fault]) -> str:
        """The name of the misconception that an answer's faults speak of, or nothing.

        Rows that are told alike are one misconception, with the first one's name. A whole diagnosis
        says more than a piece of a text, a long piece more than a short one, and a word nothing.
        """
        rows = [row for row in self.rows if row.exercise == exercise]
        for fault in faults:
            for row in rows:
                if type(row) is Known and row.says == fault.diagnosis:
                    return row.name
        text = "\n".join(line for fault in faults for line in fault.lines())
        said = [r for r in rows if type(r) is Mistake and " " in r.says and r.says in text]
        return max(said, key=lambda row: len(row.says)).name if said else ""

    def _names(self, row: Known) -> types.SimpleNamespace:
        if row not in self._built:
            names = dict(vars(self.right))
            exec(row.code, names)
            self._built[row] = types.SimpleNamespace(**names)
        return self._built[row]


def causes(says: str, *pieces: str) -> Iterator[tuple[str, str]]:
    """For `expect.explained`: errors whose text has one of these pieces all mean the same."""
    return ((piece, says) for piece in pieces)


def misconception(result: Result) -> str:
    """The name of the misconception that a result's faults speak of, or nothing.

    A check that was run has loaded its lab's table, if the lab has one; nothing is loaded here.
    """
    answers = sys.modules.get(f"grading.checks.answers.{result.lab[3:]}")
    table = getattr(answers, "MISTAKES", None)
    faults = [part.fault for part in result.parts if part.fault is not None]
    return table.recognised(result.exercise, faults) if table is not None else ""


def variants(
    exercise: str, template: str, **usual: str
) -> tuple[Callable[..., Known], Callable[..., Mistake]]:
    """Makes mistakes of an exercise: its usual answer, with some pieces changed.

    template: the answer, with a {name} for each piece; usual: the pieces of the right answer. What
    is returned, one for known mistakes and one for others, takes a mistake's name, points and
    diagnosis, and the pieces that are wrong in it.
    """

    def known(name: str, points: float, says: str, /, **changes: str) -> Known:
        return Known(exercise, name, points, says, template.format(**{**usual, **changes}))

    def other(name: str, points: float, says: str, /, **changes: str) -> Mistake:
        return Mistake(exercise, name, points, says, template.format(**{**usual, **changes}))

    return known, other
