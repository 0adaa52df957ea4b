"""A lab's page for whoever teaches it: the minutes, what to ask, and what goes wrong.

Made from the lab, from `course.yml` and from the table of misconceptions; with the board of a
class, from what its learners were told. `python -m grading notes 05` prints it as Markdown.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from grading.checks.mistakes import Known, Mistake
from grading.course.files import lab_of
from grading.course.outline import Lab, Outline, outline
from grading.workshop.lessons import Exercise, Lesson, lessons, mistakes
from grading.workshop.store import Event, Store

_SHOWN = 3  # misconceptions of an exercise

Told = Mapping[tuple[str, str], int]  # learners, by exercise and misconception


def run(root: Path, name: str, folder: Path | None, db: str | None) -> int:
    """Print a lab's page; the exit code. Raises CourseError.

    folder, db: of a class's board, where it keeps all.
    """
    lab = lab_of(root, name)
    told = _told(folder or Path(), db, lab) if folder or db else None
    print("\n".join(_page(outline(root), lessons(root)[lab], mistakes(lab), told)))
    return 0


def told_in(events: Iterable[Event], lab: str) -> Told:
    """How many learners were told each misconception of a lab; each learner counts once."""
    checks = (one for one in events if one.kind == "check" and one.lab == lab)
    each = {(one.learner, one.exercise, one.misconception) for one in checks}
    return Counter((exercise, misconception) for _, exercise, misconception in each)


def _told(folder: Path, db: str | None, lab: str) -> Told:
    with closing(Store(folder, db, serving=False)) as store:
        return told_in(store.events(), lab)


def _page(
    course: Outline, lesson: Lesson, table: Iterable[Mistake], told: Told | None
) -> Iterator[str]:
    rows = list(table)
    yield f"# {lesson.title}"
    lab = course.lab(lesson.name)
    if lab is not None:
        yield f"\n{lab.promise}\n\n{_frame(course, lab)}"
    for number, exercise in enumerate(lesson.exercises.values(), 1):
        yield f"\n## {number} · {exercise.title} ({_weight(exercise)})\n"
        if lab is not None and exercise.name in lab.ask:
            yield f"**Ask:** {lab.ask[exercise.name]}\n"
        yield from _wrong(exercise, [row for row in rows if row.exercise == exercise.name], told)


def _frame(course: Outline, lab: Lab) -> str:
    """How long it takes, how hard it is, and what it stands on."""
    needed = [f"{one.number} · {one.title}" for one in course if one.name in lab.needs]
    stands_on = f"; it builds on {' and '.join(needed)}" if needed else ""
    return f"{lab.minutes} minutes, level {lab.level} of 3{stands_on}."


def _weight(exercise: Exercise) -> str:
    points = "1 point" if exercise.points == 1 else f"{exercise.points:g} points"
    return f"{exercise.minutes} minutes, {points}" if exercise.minutes else points


def _wrong(exercise: Exercise, rows: list[Mistake], told: Told | None) -> Iterator[str]:
    """What goes wrong: what this class was told most, or else the first that the table knows."""
    if told is None:
        known = list(dict.fromkeys(row.says for row in rows if isinstance(row, Known)))
        heading = f"Of {len(known)} known mistakes:"
    else:
        says = {row.name: row.says for row in reversed(rows)}
        counts = Counter({name: told.get((exercise.name, name), 0) for name in says})
        known = [f"{n} × {says[name]}" for name, n in counts.most_common() if n]
        heading = "What learners of this class were told, and how many:"
    if known:
        yield "\n".join([heading, "", *(f"- {one}" for one in known[:_SHOWN])])
