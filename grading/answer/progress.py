"""The learner's standing over the course, kept in one small local file.

One JSON object a line, appended as results come in and never rewritten, so that two notebooks open
at once, or a kill in the middle of a line, lose nothing. The last line about an exercise counts.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from grading.answer import exercise
from grading.answer.exercise import Result


@dataclass(frozen=True)
class Standing:
    """Where the learner stands in one exercise; score is None where it was never checked."""

    lab: str
    exercise: str
    points: float
    score: float | None


def progress_file() -> Path:
    """`my_labs/.progress.jsonl`, unless LAB_PROGRESS names another file."""
    default = Path(__file__).parents[2] / "my_labs" / ".progress.jsonl"
    return Path(os.environ.get("LAB_PROGRESS") or default)


def record(result: Result) -> None:
    """Remember a result; raises OSError where the file cannot be written."""
    if _scores(progress_file()).get((result.lab, result.exercise)) == result.score:
        return
    file = progress_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    line = {"lab": result.lab, "exercise": result.exercise, "score": result.score}
    # A leading line break, in case an earlier write was cut off.
    with file.open("a", encoding="utf-8") as stream:
        stream.write("\n" + json.dumps(line))


def standing() -> list[Standing]:
    """Every exercise of the course in order, with the learner's latest score."""
    scores = _scores(progress_file())
    return [
        Standing(lab, name, one.points, scores.get((lab, name)))
        for lab in exercise.labs()
        for name, one in exercise.load(lab).items()
    ]


def table(standings: list[Standing]) -> str:
    """The standing as plain text: a line a lab, and a line an exercise of a lab that is begun."""
    lines = []
    for lab in dict.fromkeys(one.lab for one in standings):
        own = [one for one in standings if one.lab == lab]
        lines.append(f"{lab:<32} {_total(own)}")
        begun = any(one.score is not None for one in own)
        if begun and any(one.score != one.points for one in own):
            lines += [f"    {one.exercise:<28} {_score(one)}" for one in own]
    lines.append(f"{'the course so far':<32} {_total(standings)}")
    return "\n".join(lines)


def _scores(file: Path) -> dict[tuple[str, str], float]:
    scores = {}
    if not file.exists():
        return scores
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            scores[entry["lab"], entry["exercise"]] = float(entry["score"])
        except (ValueError, KeyError, TypeError):
            continue  # an empty line, or one that a kill cut off: its result is checked again
    return scores


def _score(one: Standing) -> str:
    return f"{'–' if one.score is None else f'{one.score:g}':>4} of {one.points:g}"


def _total(standings: list[Standing]) -> str:
    score = sum(one.score or 0.0 for one in standings)
    return f"{score:>4g} of {sum(one.points for one in standings):g} points"
