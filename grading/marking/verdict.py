"""What a submission is worth, and why, in a form fit for files and for the student's feedback."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from grading.answer.exercise import Exercise, Result
from grading.answer.fault import UNWRITTEN
from grading.answer.say import say

SCHEMA = 2
_TIME_LIMIT = re.compile(r"(took longer than|stopped after) [\d.]+ second|limit on the time of")
_LONGEST = 2000  # characters of a sentence that a student's process may have written


@dataclass(frozen=True)
class CellOutcome:
    """How one cell ended: ok, error, interrupted or lost; its outputs as nbformat has them."""

    status: str
    message: str = ""
    outputs: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0


@dataclass
class ExerciseVerdict:
    """What one exercise is worth, and why.

    status: passed, partial, failed, not done; unreadable (the whole file is) or not judged (the
    check met an answer that it cannot judge: a person must). `message` is fit for the student: it
    holds no inputs, no expected values and nothing of the check's source. faults: what it says, in
    pieces: part, kind, message, diagnosis. broke: what made the check itself fail, for the
    instructor; "" where it did not. lent: the exercises that it was judged with right answers of.
    """

    name: str
    score: float
    max_score: float
    status: str
    message: str
    seconds: float
    faults: list[dict[str, str]] = field(default_factory=list)
    broke: str = ""
    lent: list[str] = field(default_factory=list)

    @property
    def unwritten(self) -> bool:
        """Whether nothing of the answer itself is there (`Result.unwritten`)."""
        return self.status == "not done" and all(one["kind"] in UNWRITTEN for one in self.faults)


@dataclass
class Verdict:
    """What one submission is worth.

    notes: what was odd about it; cells: how each of its cells ran, by place; transcripts: by
    exercise, what the checks asked (a digest) and what came back; isolation: of its kernel.
    """

    exercises: list[ExerciseVerdict]
    notes: list[str] = field(default_factory=list)
    cells: dict[int, CellOutcome] = field(default_factory=dict)
    transcripts: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    isolation: str = ""


def of_result(result: Result) -> ExerciseVerdict:
    """A result as the student's feedback has it, in their language; its faults are in English."""
    faults, lines = [], []
    for part in result.parts:
        if part.fault is None:
            continue
        fault = {
            "part": part.title,
            "kind": part.fault.kind,
            "message": plain(part.fault.message),
            "diagnosis": plain(part.fault.diagnosis),
        }
        why = " ".join(map(plain, part.fault.lines(practice=False, say=say)))
        if all(why not in line for line in lines):
            lines.append(f"{say(part.title)}: {why}" if part.title else why)
        faults.append(fault)
    seconds = round(result.seconds, 3)
    message = "\n".join(lines)
    return ExerciseVerdict(
        result.exercise, result.score, result.points, result.status, message, seconds, faults
    )


def with_lent(row: ExerciseVerdict, lent: Sequence[str]) -> ExerciseVerdict:
    """A verdict that right answers of other exercises helped to, which says so."""
    names = " and ".join(f"`{name}`" for name in lent)
    said = say(f"Judged with the course's own {names}, in the place of yours.")
    message = f"{said}\n{row.message}".strip()
    return replace(row, message=message, lent=list(lent)) if lent else row


def unreadable(reason: str, exercises: Iterable[Exercise], isolation: str) -> Verdict:
    """The verdict on a file that cannot be graded: no points, and the reason."""
    rows = [
        ExerciseVerdict(one.name, 0.0, one.points, "unreadable", reason, 0.0) for one in exercises
    ]
    return Verdict(rows, notes=[reason], isolation=isolation)


def met_time_limit(verdict: Verdict) -> bool:
    """Whether anything was stopped by a limit of time that an overloaded machine makes shorter."""
    said = [outcome.message for outcome in verdict.cells.values()]
    said += [fault["message"] for one in verdict.exercises for fault in one.faults]
    return any(_TIME_LIMIT.search(each) for each in said)


def plain(text: str) -> str:
    """Text that may have come from a student's process, without what moves a terminal's cursor."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The part of a result file that the judge answers for."""
    return {
        "schema": SCHEMA,
        **scores([asdict(one) for one in verdict.exercises]),
        "notes": verdict.notes,
        "isolation": verdict.isolation,
        "cells": {str(index): asdict(outcome) for index, outcome in verdict.cells.items()},
        "transcripts": verdict.transcripts,
    }


def scores(exercises: list[dict[str, Any]]) -> dict[str, Any]:
    """The exercises of a result file, and their sums."""
    return {
        "score": round(sum(one["score"] for one in exercises), 6),
        "max_score": round(sum(one["max_score"] for one in exercises), 6),
        "exercises": exercises,
    }
