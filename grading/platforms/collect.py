"""`python -m grading collect`: the notebooks of a class out of what a platform let download.

    SUBMISSIONS/<student>/NN_name/NN_name.ipynb, timestamp.txt        what `autograde` reads
    SUBMISSIONS-kept/versions/<student>/NN_name/<digest>.ipynb        what newer ones replaced
    SUBMISSIONS-kept/unplaced/NN_name/<zip>/                          what could not be placed

nbgrader's own `zip_collect` unpacks whatever a zip holds, knows students by one regular expression
over file names, and passes over the rest: it has no list of the class to say who is missing.
"""

import hashlib
import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dateutil.parser
from traitlets.config import Config

from grading.course.files import CourseError, lab_of, write_atomically
from grading.gradebook import book
from grading.marking.handed_in import lab_in
from grading.marking.submission import Unreadable, read_cells
from grading.platforms import archive, naming, roster
from grading.platforms.archive import Entry, Refused
from grading.platforms.roster import CANVAS, Nobody, Person, Roster, shown

MOST_OF_ALL = 20 * 2**30  # bytes of notebooks that are read from one zip
MOST_OF_ONE = 50  # notebooks of a student that are looked at
# With the month as a word, or a zone: 03/04/2026 is in March here and in April there.
_IN_WORDS = re.compile(r"(?=.*[A-Za-z]{3})(?=.*\b\d{4}\b)(?=.*\d:\d\d).*")


@dataclass(frozen=True)
class Times:
    """How to tell when something was handed in.

    zone: of the times that say none (this machine's, if None); of_zip: take those of the files in
    the zip; late: for what Canvas marks as late.
    """

    zone: ZoneInfo | None = None
    of_zip: bool = False
    late: datetime | None = None

    @classmethod
    def of(cls, zone: str | None, of_zip: bool, late: str | None) -> "Times":
        """From the command line. Raises CourseError."""
        try:
            place = ZoneInfo(zone) if zone else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise CourseError(f"{zone!a} is no time zone: write one like Europe/Berlin.") from None
        return cls(place, of_zip, cls(place).read(late) if late else None)

    def read(self, text: str) -> datetime:
        """A moment as people and Moodle write it. Raises CourseError."""
        try:
            return self.placed(datetime.fromisoformat(text))
        except ValueError:
            pass
        try:
            if not _IN_WORDS.fullmatch(text):
                raise ValueError
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a zone that is not known would be left out
                return self.placed(dateutil.parser.parse(text))
        except (ValueError, OverflowError, Warning):
            message = f"{text!a} is no time that can be read: write it like 2026-03-01 11:58:30."
            raise CourseError(message) from None

    def placed(self, at: datetime) -> datetime:
        """A time by the clock of its place as a moment."""
        return at if at.tzinfo else at.replace(tzinfo=self.zone).astimezone(UTC)

    def stamp(self, found: "Found", person: Person) -> str:
        """The line of nbgrader's timestamp.txt; nothing where no time is known."""
        at = self.read(person.submitted) if person.submitted else None
        if at is None and found.late:
            at = self.late
        if at is None and self.of_zip:
            at = self.placed(found.entry.modified)
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


@dataclass(frozen=True)
class Found:
    """A file of a student's. by: whom the platform says it is from; name: the student's own name
    for the file; order: newer ones have more."""

    entry: Entry
    by: str
    name: str
    late: bool
    order: tuple[int, int]


@dataclass
class Collected:
    """How it went. others: notebooks that gave way to another one of the same student, and to
    which; unplaced: files that went to nobody, and why."""

    new: int = 0
    replaced: int = 0
    same: int = 0
    late: list[Person] = field(default_factory=list)
    others: list[tuple[Entry, str]] = field(default_factory=list)
    unplaced: list[tuple[Entry, str]] = field(default_factory=list)


def run(
    root: Path, lab: str, source: Path, roster_file: Path, to: Path, times: Times, db: str | None
) -> int:
    """Collect a lab's notebooks, and give the gradebook the class; 0 if each file has its student.

    Raises CourseError.
    """
    name, people = lab_of(root, lab), roster.read(roster_file)
    config = book.settings(root / "course", db)
    for one in people.people:
        if one.submitted:
            times.read(one.submitted)  # a fault is told before anything is written
    kept = Path(f"{to}-kept")
    place = _Place(to, kept, name)
    spare = kept / "unplaced" / name / (source.resolve().name or "files")
    with archive.opened(source) as entries:
        done = _collect(entries, people, place, times)
        _set_aside([*done.unplaced, *done.others], spare)
    print("\n".join(_summary(place, people, done, spare)))
    print(_enrol(root / "course", config, people))
    return 1 if done.unplaced else 0


def _collect(entries: Sequence[Entry], people: Roster, place: "_Place", times: Times) -> Collected:
    done, files = Collected(), dict[str, list[Found]]()
    for entry in entries:
        try:
            person, found = _owner(entry, people)
            files.setdefault(person.id, []).append(found)
        except Nobody as reason:
            done.unplaced.append((entry, str(reason)))
    read = _Reader()
    for person in people.people:
        if person.id in files:
            chosen = _chosen(files[person.id], place.lab, read, done)
            if chosen is not None:
                found, content = chosen
                place.put(person, found, content, times.stamp(found, person), done)
    done.unplaced.sort(key=lambda one: one[0].path)
    return done


def _owner(entry: Entry, people: Roster) -> tuple[Person, Found]:
    """Whose file it is. Raises Nobody."""
    *folders, last = entry.parts
    by = naming.sender(entry.parts)
    if by is None or by.platform == CANVAS:
        for folder in folders:
            with suppress(Nobody):
                person = people.find(ids=(folder,), name=folder)
                return person, Found(entry, person.id, last, False, (0, naming.copy_number(last)))
    if by is None:
        raise Nobody("its path names no student of the roster")
    numbers = {by.platform: by.number}
    try:
        person = people.find(numbers=numbers, name="" if by.hidden else by.name)
    except Nobody as reason:
        raise Nobody(by.hidden or str(reason)) from None
    order = (by.order, naming.copy_number(by.file))
    return person, Found(entry, f"{by.name} {by.number}", by.file, by.late, order)


def _chosen(
    files: Sequence[Found], lab: str, read: "_Reader", done: Collected
) -> tuple[Found, bytes] | None:
    """The student's notebook of the lab, the newest if there are several."""
    if len({one.by for one in files}) > 1:
        reason = "several people on the platform go by the name of one in the roster"
        done.unplaced += [(one.entry, reason) for one in files]
        return None
    notebooks = [one for one in files if one.entry.is_notebook]
    if not notebooks:
        done.unplaced += [(one.entry, _no_notebook(one.name)) for one in files]
    ranked = list[tuple[tuple[bool, int, int, str], Found, bytes]]()
    for one in notebooks[:MOST_OF_ONE]:
        try:
            content = read(one.entry)
            rank = (_is_lab(content, one.name, lab), *one.order, one.name)
            ranked.append((rank, one, hashlib.sha256(content).digest()))
        except Refused as reason:
            done.unplaced.append((one.entry, str(reason)))
    many = f"only {MOST_OF_ONE} notebooks of a student are looked at"
    done.unplaced += [(one.entry, many) for one in notebooks[MOST_OF_ONE:]]
    if not ranked:
        return None
    _, best, digest = max(ranked, key=lambda one: one[0])
    taken = f"{shown(best.entry.path)} was taken"
    done.others += [(one.entry, taken) for _, one, other in ranked if other != digest]
    return best, best.entry.read()


def _no_notebook(name: str) -> str:
    if name.lower().endswith(".zip"):
        return "it is a zip: unpack it and put the notebook into the student's folder"
    return "it is no notebook"


def _is_lab(content: bytes, name: str, lab: str) -> bool:
    """Whether the lab's notebook can be read. Raises Refused where it is another one, or says
    neither in itself nor by its name which it is."""
    named = lab_in(content)
    if named is not None and named != lab:
        raise Refused(f"it is {named[:80]!a} by what is in it")
    if named is None and not name.lower().startswith(lab.lower()):
        raise Refused("neither it nor its name says which lab it is")
    try:
        read_cells(content, [])
    except Unreadable:
        return False
    return True


class _Reader:
    """Reads notebooks, up to a sum of bytes."""

    def __init__(self) -> None:
        self._left = MOST_OF_ALL

    def __call__(self, entry: Entry) -> bytes:
        if self._left <= 0:
            raise Refused(f"there are more than the {MOST_OF_ALL / 2**30:.0f} GB that are read")
        content = entry.read()
        self._left -= len(content)
        return content


class _Place:
    """Where the notebooks of a lab are put."""

    def __init__(self, to: Path, kept: Path, lab: str) -> None:
        self.to, self.lab = to, lab
        self._versions = kept / "versions"

    def file(self, student: str) -> Path:
        return self.to / student / self.lab / f"{self.lab}.ipynb"

    def by_hand(self, student: str) -> Path:
        """The other place that `autograde` looks at, and the first one."""
        return self.to / student / f"{self.lab}.ipynb"

    def is_there(self, student: str) -> bool:
        return self.file(student).exists() or self.by_hand(student).exists()

    def has_time(self, student: str) -> bool:
        file = self.by_hand(student) if self.by_hand(student).exists() else self.file(student)
        return file.with_name("timestamp.txt").exists()

    def put(
        self, person: Person, found: Found, content: bytes, stamp: str, done: Collected
    ) -> None:
        """Put a student's notebook in its place. What was there is kept first, and the notebook
        comes before its time: cut off anywhere, the same command goes on."""
        if self.by_hand(person.id).exists():
            reason = f"{self.by_hand(person.id)} was put there by hand, and is what is graded"
            done.unplaced.append((found.entry, reason))
            return
        file = self.file(person.id)
        time, before = file.with_name("timestamp.txt"), _content(file)
        if before != content:
            if before is not None:
                self._keep(person.id, before, _content(time))
                time.unlink(missing_ok=True)
            write_atomically(file, content, private=True)
        if stamp and _content(time) != stamp.encode():
            write_atomically(time, stamp.encode(), private=True)
        done.new += before is None
        done.same += before == content
        done.replaced += before is not None and before != content
        if found.late:
            done.late.append(person)

    def _keep(self, student: str, content: bytes, time: bytes | None) -> None:
        digest = hashlib.sha256(content).hexdigest()
        file = self._versions / student / self.lab / f"{digest}.ipynb"
        if not file.exists():
            write_atomically(file, content, private=True)
        if time is not None:
            write_atomically(file.with_suffix(".timestamp.txt"), time, private=True)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _set_aside(files: Sequence[tuple[Entry, str]], folder: Path) -> None:
    """Copy the notebooks among what was not placed to where a person finds them."""
    shutil.rmtree(folder, ignore_errors=True)  # of the last time
    for number, (entry, _) in enumerate(files, 1):
        if entry.is_notebook:
            with suppress(Refused):
                name = re.sub(r"[^\w.()+@' -]", "_", " - ".join(entry.parts))[-100:]
                write_atomically(folder / f"{number:03} {name}", entry.read(), private=True)


def _summary(place: _Place, people: Roster, done: Collected, spare: Path) -> Iterator[str]:
    there = [one for one in people.people if place.is_there(one.id)]
    yield (
        f"{place.lab}: {done.new} new, {done.replaced} newer than before, {done.same} as before,"
        f" in {place.to}; {len(there)} of {len(people.people)} students are there"
    )
    yield from _listed("missing:", [one for one in people.people if one not in there])
    yield from _listed("late, says Canvas:", done.late)
    timeless = [one for one in there if not place.has_time(one.id)]
    if timeless:
        yield f"without a time, so that they count as on time: {len(timeless)}"
    for title, files in (
        ("not taken, as the student has a newer one:", done.others),
        ("not placed:", done.unplaced),
    ):
        yield from _listed(title, [f"{shown(entry.path)}: {why}" for entry, why in files])
    if spare.exists():
        yield f"the notebooks among them are in {spare}"


def _listed(title: str, lines: Sequence[object]) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"  {one}" for one in lines)


def _enrol(course: Path, config: Config, people: Roster) -> str:
    """Give the gradebook the names and addresses of a class; what was done."""
    with book.only_one(course), book.opened(config) as gradebook:
        for one in people.people:
            about: dict[str, Any] = {
                "first_name": _plain(one.first),
                "last_name": _plain(one.last),
                "email": _plain(one.email),
                "lms_user_id": one.numbers.get(CANVAS, ""),
            }
            gradebook.update_or_create_student(one.id, **{k: v for k, v in about.items() if v})
    where = book.shown(book.url_of(config))
    return f"names and addresses of {len(people.people)} students are in {where}"


def _plain(text: str) -> str:
    """A text that students may have chosen, fit for nbgrader's own CSV, which quotes nothing."""
    line = "".join(one if one.isprintable() and one != "," else " " for one in text)
    return line.strip().lstrip("=+-@")[:128]
