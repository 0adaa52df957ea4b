"""`python -m grading report`: the results of a lab as a table, for Gradescope, and as a page.

DIR/<student>/NN_name.json  ->  DIR/report/NN_name.csv, NN_name.html
                                DIR/report/NN_name/<student>/results.json   (Gradescope's form)

What a student is told is in the notebook's language; what the class misunderstood, in LAB_LANG's.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grading.answer.fault import UNDONE
from grading.answer.say import say, speaking
from grading.course.files import lab_of, write_atomically
from grading.course.languages.speech import language, speech
from grading.gradebook.report_page import page
from grading.marking.job import course_secret
from grading.marking.results import Results


@dataclass
class Misunderstanding:
    """One thing that went wrong in an exercise, and for whom."""

    said: str
    part: str
    students: list[str] = field(default_factory=list)


def run(root: Path, lab: str, results: Path) -> int:
    """Write the reports on a lab's results, and say where. Raises CourseError."""
    name = lab_of(root, lab)
    kept = Results(results, name, course_secret(root))
    found = kept.all()
    folder = results / "report"
    with speaking(speech(root, language(root), name)):
        wrong = {
            one["name"]: [
                replace(each, said=say(each.said), part=say(each.part))
                for each in misunderstandings(found, one["name"])
            ]
            for one in found[0]["exercises"]
        }
    files = {
        folder / f"{name}.csv": table(found),
        folder / f"{name}.html": page(name, found, wrong),
        **{folder / name / one["student"] / "results.json": gradescope(one) for one in found},
    }
    for file, text in files.items():
        write_atomically(file, text.encode("utf-8", "replace"), private=True)
    print(
        f"{len(found)} results in {folder / name}.html and .csv; for Gradescope in {folder / name}/"
    )
    for student, why in kept.refused.items():
        print(f"not taken: {student}: {why}")
    return 1 if kept.refused else 0


def table(results: Sequence[dict[str, Any]]) -> str:
    """Comma-separated values, a line a student."""
    exercises = [one["name"] for one in results[0]["exercises"]]
    text = io.StringIO()
    text.write("\ufeff")  # or Excel takes UTF-8 for something else
    writer = csv.writer(text)
    writer.writerow(["student", "status", "score", "max_score", *exercises, "notes"])
    for one in results:
        scores = {row["name"]: row["score"] for row in one["exercises"]}
        writer.writerow(
            [one["student"], one["status"], one["score"], one["max_score"]]
            + [scores.get(name, "") for name in exercises]
            + [" ".join(one["notes"])]
        )
    return text.getvalue()


def gradescope(result: dict[str, Any]) -> str:
    """A result in the form of Gradescope's results.json.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    """
    tests = [
        {
            "name": one["name"],
            "score": one["score"],
            "max_score": one["max_score"],
            "status": "passed" if one["score"] >= one["max_score"] else "failed",
            "output": one["message"],
            "output_format": "text",
            "visibility": "visible",
        }
        for one in result["exercises"]
    ]
    whole = {
        "score": result["score"],
        "execution_time": round(result["seconds"]),
        "output": "\n".join(result["notes"]),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False)


def misunderstandings(results: Iterable[dict[str, Any]], exercise: str) -> list[Misunderstanding]:
    """What went wrong in an exercise, the commonest first; a student counts once for each."""
    found: dict[tuple[str, str], Misunderstanding] = {}
    for result in results:
        faults = [
            f for one in result["exercises"] if one["name"] == exercise for f in one["faults"]
        ]
        wrong = [fault for fault in faults if fault["kind"] not in UNDONE]
        for key in dict.fromkeys((_said(fault), fault["part"]) for fault in wrong):
            found.setdefault(key, Misunderstanding(*key)).students.append(result["student"])
    return sorted(found.values(), key=lambda one: (-len(one.students), one.said))


def _said(fault: dict[str, str]) -> str:
    """What a fault has in common with those of other students."""
    if fault["diagnosis"]:
        return fault["diagnosis"]
    raised = re.match(r"(`\w+` raised \w+)", fault["message"])  # the rest is the student's own line
    return f"{raised[1]}." if raised and fault["kind"] == "exception" else fault["message"]
