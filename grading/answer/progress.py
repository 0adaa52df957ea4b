"""The learner's standing over the course, kept in one small local file.

One JSON object a line, appended as results come in and never rewritten, so that two notebooks open
at once, or a kill in the middle of a line, lose nothing. The best score counts: who tries a wrong
variant after a right one loses nothing.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from grading.answer import exercise
from grading.answer.exercise import Result
from grading.answer.say import say
from grading.answer.width import padded


@dataclass(frozen=True)
class Standing:
    """Where the learner stands in one exercise.

    score: the best; None where it was never checked. last: the day of the last check, as
    2026-11-29; "" where it was never checked.
    """

    lab: str
    exercise: str
    points: float
    score: float | None
    last: str = ""


def progress_file() -> Path:
    """`my_labs/.progress.jsonl`, unless LAB_PROGRESS names another file."""
    default = Path(__file__).parents[2] / "my_labs" / ".progress.jsonl"
    return Path(os.environ.get("LAB_PROGRESS") or default)


def record(result: Result) -> None:
    """Remember a result; raises OSError where the file cannot be written."""
    file, today = progress_file(), date.today().isoformat()
    if _kept(file).get((result.lab, result.exercise), (-1.0, "")) >= (result.score, today):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    line = {"lab": result.lab, "exercise": result.exercise, "score": result.score, "on": today}
    # A leading line break, in case an earlier write was cut off.
    with file.open("a", encoding="utf-8") as stream:
        stream.write("\n" + json.dumps(line))


def standing(points: Mapping[str, Mapping[str, float]] | None = None) -> list[Standing]:
    """Every exercise of the course in order, with the learner's best score.

    points: of the exercises of each lab; default: as their checks have it, which are imported.
    """
    if points is None:
        found = {lab: exercise.load(lab) for lab in exercise.labs()}
        points = {lab: {name: one.points for name, one in of.items()} for lab, of in found.items()}
    kept = _kept(progress_file())
    return [
        Standing(lab, name, worth, *kept.get((lab, name), (None, "")))
        for lab, exercises in points.items()
        for name, worth in exercises.items()
    ]


def table(standings: list[Standing], titles: Mapping[str, str] | None = None) -> str:
    """The standing as plain text: a line a lab, and a line an exercise of a lab that is begun.

    titles: of the labs by name, in the course's order; those without exercises are to come.
    """
    titles = titles or {one.lab: one.lab for one in standings}
    lines = []
    for lab in dict.fromkeys([*titles, *(one.lab for one in standings)]):
        own = [one for one in standings if one.lab == lab]
        title = titles.get(lab, lab)
        if not own:
            lines.append(f"{padded(title, 36)} {say('to come')}")
            continue
        lines.append(f"{padded(title, 36)} {_total(own)}{_last(own)}")
        begun = any(one.score is not None for one in own)
        if begun and any(one.score != one.points for one in own):
            lines += [f"    {one.exercise:<32} {_score(one)}" for one in own]
    lines.append(f"{padded(say('the course so far'), 36)} {_total(standings)}")
    return "\n".join(lines)


def _kept(file: Path) -> dict[tuple[str, str], tuple[float, str]]:
    """The best score of each exercise, and the day of its last check."""
    kept: dict[tuple[str, str], tuple[float, str]] = {}
    if not file.exists():
        return kept
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            key, score = (entry["lab"], entry["exercise"]), float(entry["score"])
            best, last = kept.get(key, (score, ""))
            kept[key] = max(best, score), max(last, str(entry.get("on", "")))
        except (ValueError, KeyError, TypeError):
            continue  # an empty line, or one that a kill cut off: its result is checked again
    return kept


def _last(standings: list[Standing]) -> str:
    last = max(one.last for one in standings)
    return "   " + say(f"last on {last}") if last else ""


def _score(one: Standing) -> str:
    return say(f"{'–' if one.score is None else f'{one.score:g}':>4} of {one.points:g}")


def _total(standings: list[Standing]) -> str:
    score = sum(one.score or 0.0 for one in standings)
    return say(f"{score:>4g} of {sum(one.points for one in standings):g} points")
