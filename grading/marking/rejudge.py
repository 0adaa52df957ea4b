"""`python -m grading rejudge`: apply the checks as they are now to the values that were kept.

No student code runs. Where a changed check asks for a value that was not kept, the result stays as
it is, and the next `python -m grading autograde` runs those submissions, and only those, again. A
check that breaks changes no mark: what it judged before stands.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grading.answer import exercise
from grading.answer.exercise import Exercise
from grading.answer.say import speaking
from grading.course.files import CourseError
from grading.marking import judge, verdict
from grading.marking.digest import checks_digest
from grading.marking.job import Setting, setting_of
from grading.marking.results import Results


class CheckBroke(Exception):
    """A check failed by itself; the message says which, and with what."""


def run(root: Path, lab: str, results: Path) -> int:
    """Judge the kept values of a lab again; 0 if that was possible for all. Raises CourseError."""
    setting = setting_of(root, lab, isolation="")
    kept = Results(results, setting.lab, setting.secret)
    exercises = exercise.load(setting.lab, Path(setting.checks))
    again, changed, found = [], [], kept.all()
    for result in found:
        try:
            new = judged_again(result, exercises, setting)
        except judge.NotKept:
            again.append(result["student"])
            continue
        except CheckBroke as broke:
            raise CourseError(
                f"{broke} The marks of {result['student']} and of those after stay as they were:"
                " mend the check and give the same command again."
            ) from None
        if new["score"] != result["score"]:
            changed.append(f"  {result['student']}: {result['score']:g} -> {new['score']:g}")
        kept.write(result["student"], new)
    print(f"{setting.lab}: {len(found) - len(again)} judged again, {len(changed)} with other marks")
    print("\n".join(changed) + "\n" * bool(changed), end="")
    for student, fault in kept.refused.items():
        print(f"  {student}: {fault}")
    if again:
        print("to be run again, by `python -m grading autograde`:")
        print("\n".join(f"  {student}" for student in again))
    return 1 if again or kept.refused else 0


def judged_again(
    result: Mapping[str, Any], exercises: Mapping[str, Exercise], setting: Setting
) -> dict[str, Any]:
    """A result with what the checks say now.

    Raises NotKept where the submission must run, CheckBroke where a check fails by itself.
    """
    if result["seed_id"] != judge.seed_id(setting.secret):
        raise CourseError(
            f"The result of {result['student']} was made with another course's secret: put that"
            " course's course/secret back, or run `python -m grading autograde` again."
        )
    if result["status"] == "unreadable":
        rows = verdict.unreadable(result["notes"][0], exercises.values(), "").exercises
    else:
        with speaking(setting.speech(result.get("language", ""))):
            rows = [_row(one, result, setting) for one in exercises.values()]
    inputs = {**result["inputs"], "checks": checks_digest(setting.checks, setting.lab)}
    scores = verdict.scores([asdict(row) for row in rows])
    return {**result, **scores, "inputs": inputs}


def _row(one: Exercise, result: Mapping[str, Any], setting: Setting) -> verdict.ExerciseVerdict:
    if one.name not in result["transcripts"]:
        raise judge.NotKept
    transcript = result["transcripts"][one.name]
    row = judge.judge_kept(one, transcript, setting.secret, result["digest"])
    before = next((old for old in result["exercises"] if old["name"] == one.name), None)
    if row.broke and before is not None and before["status"] != "not judged":
        raise CheckBroke(f"The check {one.name} broke: {row.broke}.")
    return verdict.with_lent(row, before.get("lent", ()) if before is not None else ())
