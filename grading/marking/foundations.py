"""One exercise's fault is not charged to another: what failed on top of a wrong answer is judged
once more, in a new session, with a right one beneath it.

Nothing that the student's code prints there is kept, and nothing it writes outlives the session: so
that no feedback can show the right answers, which the session then holds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from grading.answer.exercise import Exercise
from grading.course.cells import beneath, exercise_of
from grading.marking.submission import Decide, Run, Step, Submission
from grading.marking.verdict import Verdict, with_lent

_LEND = "__import__('grading.answer.runner').answer.runner.lend({})"


@dataclass(frozen=True)
class Second:
    """What is judged again. lent: by exercise, those whose right answers it then stands on."""

    submission: Submission
    lent: dict[str, list[str]]


def second(
    submission: Submission,
    exercises: Mapping[str, Exercise],
    answers: Mapping[str, str],
    first: Verdict,
) -> Second | None:
    """What failed on top of a wrong answer, as a submission; None where nothing did."""
    failed = {one.name: one for one in first.exercises if one.score < one.max_score}
    wrong = {name for name in failed if answers.get(name)}
    lent = dict[str, list[str]]()
    for name in (name for name in exercises if name in failed):
        words = _words(submission, name, exercises)
        bases = [base for base in beneath(exercises, name, answers, words) if base in wrong]
        lent |= {name: bases} if bases and not failed[name].unwritten else {}
    if not lent:
        return None
    steps = tuple(_steps(submission, lent, answers, first))
    return Second(replace(submission, steps=steps), lent)


def _words(submission: Submission, name: str, exercises: Iterable[str]) -> set[str]:
    """The names in an exercise's answer as it was handed in, which may use any earlier one."""
    answers = [
        step.source
        for step in submission.steps
        if isinstance(step, Run) and exercise_of(step.grade_id or "", exercises) == name
    ]
    return set(re.findall(r"\w+", "\n".join(answers)))


def _steps(
    submission: Submission,
    lent: Mapping[str, list[str]],
    answers: Mapping[str, str],
    first: Verdict,
) -> Iterator[Step]:
    """The steps again, each right answer once, before the first cell that builds on it."""
    given = set[str]()
    for step in submission.steps:
        of = step.exercise if isinstance(step, Decide) else exercise_of(step.grade_id or "", lent)
        new = [base for base in lent.get(of or "", ()) if base not in given]
        if new:
            given.update(new)
            yield Run(_LEND.format(", ".join(repr(answers[base]) for base in new)), -1)
        if isinstance(step, Run):
            ended = first.cells.get(step.index)
            if ended is None or ended.status in ("ok", "error"):
                yield step
        elif step.exercise in lent:
            yield step


def take_the_better(
    first: Verdict, again: Verdict, lent: Mapping[str, list[str]] | None = None
) -> None:
    """Put what was judged again into the first verdict, where it got more."""
    better = {row.name: row for row in again.exercises}
    for at, row in enumerate(first.exercises):
        if row.name in better and better[row.name].score > row.score:
            first.exercises[at] = with_lent(better[row.name], (lent or {}).get(row.name, ()))
            first.transcripts[row.name] = again.transcripts[row.name]
