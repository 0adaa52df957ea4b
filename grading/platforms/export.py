"""`python -m grading export`: the gradebook's marks in the files that platforms take.

Canvas takes back the gradebook that it exported, with marks in the columns of assignments
(https://community.instructure.com/en/kb/articles/660862-how-do-i-import-grades-in-the-gradebook);
Moodle takes back an assignment's grading worksheet, or any table with a line for each student
(https://docs.moodle.org/405/en/Grade_import). What was exported is filled, and otherwise left as it
is, to the byte.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook

from grading.course.files import CourseError, lab_of, write_atomically
from grading.course.outline import FILE, titles_of
from grading.gradebook import book
from grading.platforms import roster, tables
from grading.platforms.roster import CANVAS, Nobody, Person, Roster
from grading.platforms.tables import Table

_NOT_A_MARK = ("EX", "N/A")  # Canvas: excused; the assignment is not this student's


@dataclass(frozen=True)
class Mark:
    """A student's mark for a lab. open: a person has still to grade some of it."""

    score: float
    open: bool

    def __str__(self) -> str:
        return f"{round(self.score, 2):.10g}"


@dataclass
class Marks:
    """What the gradebook has of a course: its students; by lab, their marks, the most there is, and
    the lab's title.
    """

    students: Roster
    titles: dict[str, str]
    of: dict[str, dict[str, Mark]] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)


def run(
    root: Path,
    lab: str | None,
    *,
    canvas: Path | None,
    moodle: Path | None,
    column: str | None,
    to: Path,
    db: str | None,
) -> int:
    """Write the marks of a lab, or of all, for a platform; 0 if each mark has its place.

    canvas, moodle: the file that the platform exported; without one, a table for Moodle's import of
    grades is made. Raises CourseError.
    """
    name = lab_of(root, lab) if lab else None
    marks = _marks(root, db)
    if name is not None and not marks.of.get(name):
        raise CourseError(f"The gradebook has no marks for {name}: run `record` first.")
    labs = [name] if name else [one for one, found in marks.of.items() if found]
    given, said = canvas or moodle, list[str]()
    if given is None:
        content, whole = _table(marks, labs), True
    else:
        table = tables.read(given)
        if to.exists() and to.samefile(given):
            raise CourseError(f"{to} is the file that was exported: write another one (--to).")
        fill = _fill_canvas if canvas else _fill_moodle
        whole = fill(table, marks, labs, column, said)
        content = table.content()
    write_atomically(to, content, private=True)
    print("\n".join([*said, f"written: {to}"]))
    return 0 if whole else 1


def _marks(root: Path, db: str | None) -> Marks:
    with book.opened(book.settings(root / "course", db)) as gradebook:
        titles = titles_of(root) if (root / FILE).exists() else {}
        found = Marks(Roster([_student(one) for one in gradebook.students]), titles)
        assignments: Any = gradebook.assignments
        for assignment in assignments:
            found.most[assignment.name] = float(assignment.max_score)
            found.of[assignment.name] = dict(_of_assignment(gradebook, assignment.name))
    return found


def _student(one: Any) -> Person:
    """A student of the gradebook."""
    numbers = {CANVAS: one.lms_user_id} if one.lms_user_id else {}
    return Person((one.id,), one.first_name or "", one.last_name or "", one.email or "", numbers)


def _of_assignment(gradebook: Gradebook, lab: str) -> Iterator[tuple[str, Mark]]:
    submissions: Any = gradebook.assignment_submissions(lab)
    for one in submissions:
        score = max(0.0, one.score - (one.late_submission_penalty or 0.0))
        yield one.student.id, Mark(score, bool(one.needs_manual_grade))


def _table(marks: Marks, labs: Sequence[str]) -> bytes:
    """A line for each student, a column for each lab: for Moodle's import of grades."""
    rows = [["Username", "First name", "Last name", "Email address", *labs]]
    for one in marks.students.people:
        found = [marks.of[lab].get(one.id) for lab in labs]
        rows.append([one.id, one.first, one.last, one.email, *(str(m or "") for m in found)])
    return tables.written(rows)


def _fill_canvas(
    table: Table,
    marks: Marks,
    labs: Sequence[str],
    column: str | None,
    said: list[str],
) -> bool:
    """Fill the columns of the labs in Canvas's gradebook; whether each mark has a place."""
    if not roster.is_canvas(table):
        raise CourseError(
            f"{table.name} is not a gradebook as Canvas exports it, with Student, ID and Section."
        )
    if column is not None and len(labs) > 1:
        raise CourseError("--column is for one lab: name it, such as `export 01 --column …`.")
    columns = _assignments(table)
    places = {lab: _column_of(lab, marks.titles.get(lab, ""), columns, column) for lab in labs}
    if not any(places.values()):
        known = "; ".join(columns.values()) or "none"
        wanted = " and ".join(labs)
        raise CourseError(
            f"{table.name} has no column for {wanted}, or several: name one with --column. Its"
            f" assignments: {known}."
        )
    people, whole = list(roster.canvas(table)), True
    points = next((r for r in range(1, len(table.rows)) if _is_points(table, r)), None)
    for lab, place in places.items():
        if place is None:
            said.append(f"{lab}: {table.name} has no column for it, or several (--column)")
            whole = False
            continue
        filled = _Filled(lab, table, place, marks)
        filled.fill(people, lambda row, at=place: _canvas_keeps(table.value(row, at)))
        most = "" if points is None else table.value(points, place)
        said += filled.report(columns[place], {most} if most else set())
        whole = whole and not filled.homeless
    return whole


def _is_points(table: Table, row: int) -> bool:
    return any("points possible" in cell.casefold() for cell in table.rows[row][:1])


def _assignments(table: Table) -> dict[int, str]:
    """The columns of assignments, by place: behind the students', with a number in brackets."""
    points = [table.rows[r] for r in range(1, len(table.rows)) if _is_points(table, r)]
    locked = {at for row in points for at, cell in enumerate(row) if "read only" in cell.casefold()}
    first = (table.column("section") or 0) + 1
    return {
        at: title
        for at, title in enumerate(table.rows[0])
        if at >= first and at not in locked and _parted(title)[1]
    }


def _parted(title: str) -> tuple[str, str]:
    """A column's title and the assignment's number in Canvas: `Lab 1 (4711)`."""
    name, bracket, rest = title.rpartition(" (")
    return (name, rest[:-1]) if bracket and rest[:-1].isdigit() and rest[-1] == ")" else (title, "")


def _column_of(lab: str, title: str, columns: dict[int, str], wanted: str | None) -> int | None:
    """The one column that is the lab's, or is wanted: by its whole heading, title or number."""
    if wanted is not None:
        found = [at for at, one in columns.items() if wanted in (one, *_parted(one))]
    else:
        names = set(_names_of(lab, title))
        found = [at for at, one in columns.items() if _letters(_parted(one)[0]) in names]
    return found[0] if len(found) == 1 else None


def _names_of(lab: str, title: str) -> Iterator[str]:
    """What an assignment for a lab may be called: `01_perceptron`, `Lab 1`, `The perceptron`, …"""
    short = title.partition(" · ")[2]
    yield _letters(lab)
    if short:
        yield _letters(short)
    for number in (lab[:2], lab[:2].lstrip("0")):
        for before in ("", "Lab "):
            yield from (_letters(f"{before}{number} {rest}") for rest in ("", short))


def _letters(text: str) -> str:
    return "".join(one for one in text.casefold() if one.isalnum())


def _canvas_keeps(value: str) -> str:
    return f"it is {value} there" if value.upper() in _NOT_A_MARK else ""


def _fill_moodle(
    table: Table,
    marks: Marks,
    labs: Sequence[str],
    column: str | None,
    said: list[str],
) -> bool:
    """Fill Moodle's grading worksheet, which is one assignment's; whether each mark has a place."""
    if not roster.is_moodle(table):
        raise CourseError(
            f"{table.name} is not a grading worksheet as Moodle makes it in English, with"
            " Identifier and Grade: switch Moodle to English and download it again."
        )
    if len(labs) != 1:
        raise CourseError("A grading worksheet is one assignment's: name the lab, `export 01 …`.")
    place = table.column(tables.heading(column or "grade"))
    if place is None:
        raise CourseError(f"{table.name} has no column {column!a}.")
    most, changeable = table.column("maximum grade"), table.column("grade can be changed")
    locked = "its grade cannot be changed there"
    filled = _Filled(labs[0], table, place, marks)
    filled.fill(
        list(roster.moodle(table)), lambda row: locked * (table.value(row, changeable) == "No")
    )
    rows = range(1, len(table.rows))
    said += filled.report(table.rows[0][place], {table.value(row, most) for row in rows} - {""})
    return not filled.homeless


class _Filled:
    """One lab's marks in one column of a platform's table."""

    def __init__(self, lab: str, table: Table, column: int, marks: Marks) -> None:
        self.lab, self._table, self._column = lab, table, column
        self._students, self._marks, self._most = marks.students, marks.of[lab], marks.most[lab]
        self._filled = self._replaced = 0
        self._left: list[str] = []
        self._without: list[str] = []
        self.homeless: list[str] = []  # marks for which there is no place

    def fill(self, people: Sequence[Person], keeps: Callable[[int], str]) -> None:
        """Put each mark into its student's row. keeps: why a row's cell must stay as it is."""
        rows: dict[str, list[Person]] = {}
        for one in people:
            try:
                rows.setdefault(self._students.find_other(one).id, []).append(one)
            except Nobody as reason:
                self._without.append(f"{one}: not in the gradebook ({reason})")
        for student in self._students.people:
            mark, found = self._marks.get(student.id), rows.get(student.id, [])
            if mark is None:
                self._without += [f"{one}: the gradebook has no mark" for one in found]
            elif len(found) != 1:
                reason = "no line there is theirs" if not found else "several lines there are"
                self.homeless.append(f"{student}: {mark}, but {reason}")
            elif kept := keeps(found[0].row):
                self._left.append(f"{student}: {mark}, but {kept}")
            else:
                self._put(found[0].row, str(mark))

    def _put(self, row: int, mark: str) -> None:
        before = self._table.value(row, self._column)
        self._filled += 1
        self._replaced += bool(before) and not _same(before, mark)
        self._table.fill(row, self._column, mark)

    def report(self, title: str, most: Iterable[str]) -> Iterator[str]:
        """What was done, in lines. most: the points that the platform has for it."""
        yield (
            f"{self.lab} → {roster.shown(title)}: {self._filled} marks, {self._replaced} of them in"
            " the place of another"
        )
        for other in most:
            if not _same(other, str(self._most)):
                yield (
                    f"  it has {other} points there and {self._most:g} here: change that there, or"
                    " the marks mean something else"
                )
        unfinished = [one for one, mark in self._marks.items() if mark.open]
        for said, lines in (
            ("a person has still to grade a part of:", unfinished),
            ("left as they are:", self._left),
            ("without a mark:", self._without),
            ("not written:", self.homeless),
        ):
            if lines:
                yield f"  {said}"
                yield from (f"    {line}" for line in lines)


def _same(one: str, other: str) -> bool:
    """Whether two cells are the same number, with a point or a comma."""
    try:
        return abs(float(one.replace(",", ".")) - float(other.replace(",", "."))) < 0.005
    except ValueError:
        return one == other
