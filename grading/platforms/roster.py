"""The list of a class: who is in it, and whom a platform's file means.

A list of one's own has columns id, first_name, last_name, email. The gradebook that Canvas exports
and Moodle's grading worksheet are lists as well, and know the numbers by which files are named:

    https://community.instructure.com/en/kb/articles/660866-how-do-i-export-grades-in-the-gradebook
    https://docs.moodle.org/405/en/Assignment_settings    (Offline grading worksheet)

What they have in their columns is in Canvas's lib/gradebook_exporter.rb and in Moodle's
mod/assign/gradingtable.php.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from grading.course.files import CourseError
from grading.marking.handed_in import NAME, fault_of_name
from grading.platforms import tables
from grading.platforms.tables import Table

CANVAS, MOODLE = "canvas", "moodle"
_TEST_STUDENT = "Student, Test"  # whom Canvas adds to a course for its teachers
_ID = ("id", "student id", "username", "user name", "login", "id number", "idnumber")
_FIRST = ("first name", "firstname", "given name", "vorname")
_LAST = ("last name", "lastname", "surname", "family name", "nachname")
_WHOLE = ("name", "full name", "fullname")
_EMAIL = ("email", "e-mail", "email address", "e-mail address", "e-mail-adresse", "mail")
_COLUMNS = (
    "an id or an email, and first_name and last_name, or name; of the files of Moodle and Canvas"
    " those in English"
)


@dataclass(frozen=True)
class Person:
    """Somebody in a list of a class.

    ids: what may name them, the course's own name for them first; numbers: the platforms' own, by
    platform; submitted: when they handed in, as the list has it; row: in the list's table.
    """

    ids: tuple[str, ...]
    first: str
    last: str
    email: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    submitted: str = ""
    row: int = 0

    @property
    def id(self) -> str:
        return self.ids[0]

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}".strip()

    def __str__(self) -> str:
        return f"{shown(self.name)} ({self.id})" if self.name else self.id


class Nobody(Exception):
    """There is no one person to be found; the message says why."""


class Roster:
    """People, to be found by what a file or another list says of them."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.people = people
        self._numbers = {pair: one for one in people for pair in one.numbers.items()}
        self._ids: dict[str, list[Person]] = {}
        self._names: dict[str, list[Person]] = {}
        for one in people:
            for text in {text.casefold() for text in (one.email, *one.ids)}:
                self._ids.setdefault(text, []).append(one)
            for name in set(_orders(one)):
                self._names.setdefault(name, []).append(one)

    def find(
        self, *, numbers: Mapping[str, str] | None = None, ids: Iterable[str] = (), name: str = ""
    ) -> Person:
        """The one who has such a number, else such an id or address, else such a name.

        Raises Nobody.
        """
        given = numbers or {}
        for pair in given.items():
            if pair in self._numbers:
                return self._numbers[pair]
        by_id = [self._ids.get(one.casefold(), []) for one in ids if one]
        for found in (*by_id, self._names.get(_letters(name), [])):
            if len(found) > 1:
                several = ", ".join(one.id for one in found)
                raise Nobody(f"it may mean each of {several}, who are called so")
            for one in found:
                if given.keys() & one.numbers.keys():
                    raise Nobody(f"{one.id} is called so, but the list has another number for them")
                return one
        raise Nobody("nobody in the list is called so")

    def find_other(self, other: Person) -> Person:
        """The one of this list who is somebody in another one. Raises Nobody."""
        return self.find(numbers=other.numbers, ids=(*other.ids, other.email), name=other.name)


def read(file: Path) -> Roster:
    """The class that a file lists. Raises CourseError, which names the line."""
    table = tables.read(file)
    reader = canvas if is_canvas(table) else moodle if is_moodle(table) else _plain
    people = [_fit(one, table) for one in reader(table)]
    if not people:
        raise CourseError(f"{table.name} lists nobody: it should have a line for each student.")
    keys: Sequence[tuple[str, Callable[[Person], str]]] = (
        # Two that differ in capitals alone would share a folder on macOS and Windows.
        ("id", lambda one: one.id.casefold()),
        ("number in Canvas", lambda one: one.numbers.get(CANVAS, "")),
        ("number in Moodle", lambda one: one.numbers.get(MOODLE, "")),
    )
    for what, key in keys:
        lines: dict[str, int] = {}
        for one in people:
            line, value = table.lines[one.row], key(one)
            if value and lines.setdefault(value, line) != line:
                said = f"lines {lines[value]} and {line} have the same {what}, {value!a}"
                raise CourseError(f"{table.name}: {said}: each student has one of their own.")
    return Roster(people)


def is_canvas(table: Table) -> bool:
    """Whether it is a gradebook as Canvas exports it."""
    name = table.column("student") == 0 or table.column("lastname") == 0
    return name and None not in (table.column("id"), table.column("section"))


def is_moodle(table: Table) -> bool:
    """Whether it is the grading worksheet of an assignment of Moodle, in English."""
    return None not in (table.column("identifier"), table.column("grade"))


def canvas(table: Table) -> Iterator[Person]:
    """The students of a gradebook that Canvas exported."""
    login, sis = table.column("sis login id"), table.column("sis user id")
    whole, own = table.column("student"), table.column("id")
    for row in range(1, len(table.rows)):
        if is_about_assignments(table, row):
            continue
        name = table.value(row, whole)
        if quoted := re.fullmatch(r'="(.*)"', name):  # Canvas's guard against formulas
            name = quoted[1]
        if name == _TEST_STUDENT:
            continue
        last, _, first = name.partition(", ")
        number = table.value(row, own)
        ids = [one for one in (table.value(row, login), table.value(row, sis)) if one]
        yield Person(
            tuple(ids or [number]),
            first or table.value(row, table.column("firstname")),
            last or table.value(row, table.column("lastname")),
            next((one for one in ids if "@" in one), ""),
            {CANVAS: number} if number else {},
            row=row,
        )


def is_about_assignments(table: Table, row: int) -> bool:
    """Whether a row of Canvas's gradebook is no student's: points possible, how grades are posted,
    or nothing."""
    said = [cell.casefold() for cell in table.rows[row] if cell]
    about = all(cell == "muted" or cell.startswith("manual posting") for cell in said)
    return about or "points possible" in said[0]


def moodle(table: Table) -> Iterator[Person]:
    """The students of a grading worksheet of Moodle; without names, where marking is blind."""
    places = [table.column(*names) for names in (("id number",), ("username",), _EMAIL)]
    for row in range(1, len(table.rows)):
        number = re.search(r"\d+$", table.value(row, table.column("identifier")))
        if number is None:
            continue
        first, last = _parted(table.value(row, table.column(*_WHOLE)))
        ids = [value for place in places if (value := table.value(row, place))]
        submitted = table.value(row, table.column("last modified (submission)"))
        yield Person(
            tuple(ids or [number[0]]),
            first,
            last,
            table.value(row, places[-1]),
            {MOODLE: number[0]},
            "" if submitted == "-" else submitted,
            row,
        )


def _plain(table: Table) -> Iterator[Person]:
    """The students of a list of one's own, or of another one that Moodle exports."""
    own, email = table.column(*_ID), table.column(*_EMAIL)
    if own is None and email is None:
        raise CourseError(f"{table.name} has none of the columns of a roster: {_COLUMNS}.")
    for row in range(1, len(table.rows)):
        if not any(table.rows[row]):
            continue
        first, last = _parted(table.value(row, table.column(*_WHOLE)))
        ids = [value for place in (own, email) if (value := table.value(row, place))]
        numbers = {
            platform: number
            for platform in (CANVAS, MOODLE)
            if (number := table.value(row, table.column(f"{platform} id")))
        }
        yield Person(
            tuple(ids),
            table.value(row, table.column(*_FIRST)) or first,
            table.value(row, table.column(*_LAST)) or last,
            table.value(row, email),
            numbers,
            table.value(row, table.column("submitted")),
            row,
        )


def _fit(one: Person, table: Table) -> Person:
    """With an id that can name a folder first. Raises CourseError if there is none."""
    line = table.lines[one.row]
    if not one.ids:
        raise CourseError(f"{table.name}, line {line}: {one.name!a} has no id and no email.")
    ids = sorted(one.ids, key=lambda text: bool(fault_of_name(text)))  # keeps the order otherwise
    if fault_of_name(ids[0]):
        fault = f"{ids[0]!a} cannot name a student's folder"
        raise CourseError(f"{table.name}, line {line}: {fault} ({NAME}).")
    return replace(one, ids=tuple(ids))


def _parted(name: str) -> tuple[str, str]:
    """A whole name as first and last: what stands behind a comma, or before the last blank, is the
    first name. It is for display: to find somebody, every way to part the name is tried."""
    last, comma, first = name.partition(",")
    if not comma:
        first, _, last = name.rpartition(" ")
    return first.strip(), last.strip()


def _orders(one: Person) -> Iterator[str]:
    """A name as platforms put it: first name first, or any number of last names first."""
    words = one.name.split()
    for count in range(len(words)):
        yield _letters("".join(words[count:] + words[:count]))


def _letters(name: str) -> str:
    """What is left of a name in any platform's file names: letters and digits, without capitals."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in text if one.isalnum())


def shown(text: str) -> str:
    """A text that somebody else chose, fit to be printed on a line."""
    return text if text.isprintable() else ascii(text)
