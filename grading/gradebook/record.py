"""`python -m grading record`: results into nbgrader's gradebook, by nbgrader's own converter.

A submission is handed to nbgrader as a stand-in, `course/recorded/<student>/NN_name/`: the course's
release with the sources of the student's cells, so that nothing in nbgrader reads the file that was
handed in. `execute` then takes the marks from the result. What is recorded already is left as
it is, so that a person's grades stay.
"""

import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import parse_utc
from sqlalchemy.exc import SAWarning
from tqdm import tqdm

from grading.course.files import CourseError, lab_of, plain_path, write_atomically
from grading.course.release import scripts_on_path
from grading.gradebook import book
from grading.gradebook.manual_marks import ManualMarks
from grading.marking.batch import not_judged
from grading.marking.handed_in import HandedIn, handed_in
from grading.marking.job import course_secret
from grading.marking.results import Results
from grading.marking.submission import Cell, Unreadable, read_cells

STAND_INS = "recorded"
_NEW_CELL = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}


def run(root: Path, lab: str, submissions: Path, results: Path, db: str | None = None) -> int:
    """Record the results of a lab; 0 if every submission's is. Raises CourseError."""
    name = lab_of(plain_path(root), lab)
    course = root / "course"
    if not (course / "source" / name / f"{name}.ipynb").exists():
        raise CourseError(f"{course}/source has no {name}: run `make release` first.")
    pile = handed_in(submissions, name)
    work = pile.submissions
    with book.only_one(course), scripts_on_path(), warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # nbgrader's, about its own use of SQLAlchemy
        recording = _Recording(root, name, results.resolve(), db)
        faults = [
            f"  {one.student}: {fault}"
            for one in tqdm(work, unit="submission", disable=None)
            if (fault := recording.record(one))
        ]
    print(
        f"{name}: {recording.recorded} recorded, {recording.kept} were already,"
        f" in {recording.shown_url}"
    )
    faults += [f"  {name!a}: {why}" for name, why in pile.passed_over.items()]
    if recording.manual.outdated:
        title = "marked by hand before they changed (the formgrader asks for them again):"
        print("\n  ".join([title, *recording.manual.outdated]))
    if faults:
        print("\n".join(["not recorded:", *faults]))
    return 1 if faults else 0


class _Recording:
    """nbgrader's gradebook of one course, and where it stands with one lab."""

    def __init__(self, root: Path, lab: str, results: Path, db: str | None) -> None:
        self.root, self.lab = root, lab
        self.results = Results(results, lab, course_secret(root))
        self.course = (root / "course").resolve()
        self.recorded = self.kept = 0
        self.released = nbformat.read(root / "labs" / f"{lab}.ipynb", as_version=4)
        self.config = book.settings(self.course, db)
        self.config.CourseDirectory.submitted_directory = STAND_INS
        ours = self.config.SandboxedExecute
        ours.root, ours.results = str(root.resolve()), str(results)
        self.db = db and hashlib.sha256(db.encode()).hexdigest()  # it may hold a password
        self.url = book.url_of(self.config)
        self.shown_url = book.shown(self.url)
        self.known = self._known()
        self.rules = self._rules()
        self.manual = ManualMarks(self.url, self.config.CourseDirectory.course_id, lab)

    def record(self, one: HandedIn) -> str:
        """Record one submission's result; why it could not be, or nothing."""
        result, content = self.results.read(one.student), one.content()
        if result is None:
            missing = "it has no result: run `python -m grading autograde`"
            return self.results.refused.get(one.student, missing)
        if result["inputs"]["notebook"] != hashlib.sha256(content).hexdigest():
            return "it has changed since it was graded: run `python -m grading autograde` again"
        files = self.course / STAND_INS / one.student / self.lab
        when = one.timestamp()
        fault, when = _fault(when), when.decode("utf-8-sig", "replace").encode()
        if fault:
            return fault
        state = self._state(result, when)
        marker = files.parent / f"{self.lab}.recorded"
        if one.student in self.known and marker.exists() and marker.read_text() == state:
            self.kept += 1
            return ""
        with self.manual.kept(one.student, files / f"{self.lab}.ipynb"):
            shutil.rmtree(files, ignore_errors=True)
            text = nbformat.writes(stand_in(content, self.released))
            write_atomically(files / f"{self.lab}.ipynb", text.encode())
            if when:
                write_atomically(files / "timestamp.txt", when)
            fault = self._convert(Autograde, one.student)
        if not fault:
            self._leave_to_a_person(one.student, not_judged(result))
            write_atomically(marker, state.encode(), private=True)
            self.recorded += 1
        return fault

    def _state(self, result: Mapping[str, Any], when: bytes) -> str:
        """All that a mark in the gradebook depends on. Not what differs from one judging to the
        next without a change of marks: how long it took, or a check that says the same as before.
        """
        marks = [{**row, "seconds": 0} for row in result["exercises"]]
        made_of = [result["inputs"]["notebook"], marks, when.decode(), self.db, self.rules]
        return json.dumps(made_of, sort_keys=True)

    def _known(self) -> set[str]:
        """The students whose submissions the gradebook has; it takes up the lab if need be."""
        with book.opened(self.config) as gradebook:
            try:
                gradebook.find_notebook(self.lab, self.lab)
            except MissingEntry:
                fault = self._convert(GenerateAssignment, ".")
                if fault:
                    message = f"nbgrader cannot take up {self.lab}: {fault}"
                    raise CourseError(message) from None
            found = gradebook.notebook_submissions(self.lab, self.lab)
            return {one.student.id for one in found}

    def _rules(self) -> list[str]:
        """What of the course a mark depends on beside the result: due date and late penalty."""
        with Gradebook(self.url, self.config.CourseDirectory.course_id) as gradebook:
            due = gradebook.find_assignment(self.lab).duedate
        penalties = {key: repr(self.config[key]) for key in self.config if "Late" in key}
        return [str(due), json.dumps(penalties, sort_keys=True)]

    def _leave_to_a_person(self, student: str, exercises: Iterable[str]) -> None:
        """An exercise that could not be judged has no mark yet, and waits in the formgrader."""
        with Gradebook(self.url, self.config.CourseDirectory.course_id) as gradebook:
            for name in exercises:
                grade: Any = gradebook.find_grade(name, self.lab, self.lab, student)
                grade.auto_score, grade.needs_manual_grade = None, True
            gradebook.db.commit()

    def _convert(self, converter: Any, student: str) -> str:
        """Run one of nbgrader's converters for one student; the reason if it fails."""
        log, said = logging.Logger("nbgrader"), _Errors()
        log.addHandler(said)
        folder = CourseDirectory(
            config=self.config, assignment_id=self.lab, student_id=student, log=log
        )
        try:
            converter(coursedir=folder, config=self.config, force=True, log=log).start()
        except NbGraderException as error:
            return said.reason or str(error)
        return ""


def _fault(timestamp: bytes) -> str:
    """Why nbgrader could not read a timestamp, or nothing."""
    if not timestamp:
        return ""
    text = timestamp.decode("utf-8", "replace").strip()
    try:
        parse_utc(text)
    except (ValueError, OverflowError, TypeError):
        return (
            f"its timestamp.txt says {text[:40]!a}, which is no time: write it like"
            " 2026-03-01 09:00:00 UTC"
        )
    return ""


class _Errors(logging.Handler):
    """Keeps the reason out of what nbgrader logs: the last line of a traceback."""

    reason = ""

    def emit(self, record: logging.LogRecord) -> None:
        lines = [line for line in record.getMessage().splitlines() if "Error: " in line]
        if lines:
            self.reason = lines[-1].partition("Error: ")[2]


def stand_in(content: bytes, released: NotebookNode) -> NotebookNode:
    """A submission as nbgrader may read it: the release's cells with the student's sources.

    The student's cells keep their places, from which their outputs are known; graded cells that
    are missing follow at the end. A file that cannot be read gives the release itself.
    """
    try:
        cells = read_cells(content, [])
    except Unreadable:
        return released
    graded = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in released.cells
        if "nbgrader" in cell.metadata
    }
    last = {cell.grade_id: cell.index for cell in cells if cell.grade_id in graded}
    by_place = {cell.index: cell for cell in cells}
    made = []
    for index in range(max(by_place, default=-1) + 1):
        cell = by_place.get(index)
        if cell is None:
            made.append(new_markdown_cell("(a cell that could not be read)"))
        elif cell.grade_id is not None and last.get(cell.grade_id) == index:
            made.append(_graded(cell, graded[cell.grade_id]))
        else:
            made.append(_NEW_CELL[cell.kind](cell.source))
    made += [
        cell for name, cell in graded.items() if name not in last and cell.metadata.nbgrader.grade
    ]
    for index, cell in enumerate(made):
        cell.id = f"cell-{index}"
    return new_notebook(cells=made, metadata=released.metadata)


def _graded(cell: Cell, original: NotebookNode) -> NotebookNode:
    """A cell of the release; with the student's source where that is the answer."""
    made: Any = nbformat.from_dict(original)
    if original.metadata.nbgrader.solution:
        made.source = cell.source
        if cell.attachments and cell.kind == "markdown":
            made.attachments = nbformat.from_dict(cell.attachments)
    return made
