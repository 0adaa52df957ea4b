"""The board's picture as files: a line for each learner and exercise, or everything as JSON."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from grading.workshop.handed import time_of
from grading.workshop.room import Room

_COLUMNS: Sequence[str] = (
    "learner",
    "lab",
    "exercise",
    "state",
    "points",
    "of",
    "attempts",
    "misconception",
    "handed in",
)


def rows(room: Room, now: float) -> Iterator[dict[str, Any]]:
    """A row for each exercise that a learner has begun, and one for a lab only handed in."""
    for learner in room.picture(now)["learners"]:
        seat = room.seats[learner["id"]]
        for lab, cells in learner["labs"].items():
            at = seat.handed_in.get(lab)
            who = {"learner": learner["name"], "lab": lab, "handed in": time_of(at) if at else ""}
            for name, cell in cells.items():
                tried = seat.tried.get((lab, name))
                yield {
                    **who,
                    "exercise": name,
                    "state": cell["state"],
                    "points": cell["points"],
                    "of": room.lessons[lab].exercises[name].points,
                    "attempts": cell["attempts"],
                    "misconception": tried.misconception if tried else "",
                }
            if not cells:
                yield who


def as_csv(found: Iterable[Mapping[str, Any]]) -> str:
    """Comma-separated values."""
    text = io.StringIO()
    text.write("\ufeff")  # or Excel takes UTF-8 for something else
    writer: csv.DictWriter[str] = csv.DictWriter(text, _COLUMNS, restval="")
    writer.writeheader()
    writer.writerows({key: _harmless(value) for key, value in row.items()} for row in found)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula begins with a quote instead."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
