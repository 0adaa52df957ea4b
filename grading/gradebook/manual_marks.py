"""Marks that a person gave. nbgrader asks for each of them again whenever a submission is recorded;
here they stand where the answer and its mark are the ones that the person saw.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import is_grade, is_solution


class ManualMarks:
    """The marks by hand of one lab in nbgrader's gradebook.

    outdated: a line for each that was given to an answer which has changed since. It counts until
    a person looks at it in the formgrader.
    """

    def __init__(self, url: str, course_id: str, lab: str) -> None:
        self.url, self.course_id, self.lab = url, course_id, lab
        self.outdated: list[str] = []

    @contextmanager
    def kept(self, student: str, notebook: Path) -> Iterator[None]:
        """While the block records a student's notebook anew: what is settled stays so."""
        settled = self._settled(student)
        before = _answers(notebook) if settled else {}
        yield
        if not settled:
            return
        now = _answers(notebook)
        with Gradebook(self.url, self.course_id) as gradebook:
            for name, auto_score in settled.items():
                grade: Any = gradebook.find_grade(name, self.lab, self.lab, student)
                if grade.auto_score == auto_score and before.get(name) == now.get(name):
                    grade.needs_manual_grade = False
                else:
                    self.outdated.append(f"{student}: {name}, {grade.manual_score:g} by hand")
            gradebook.db.commit()

    def _settled(self, student: str) -> dict[str, float | None]:
        """The cells that a person marked for good, each with the automatic mark it had."""
        with Gradebook(self.url, self.course_id) as gradebook:
            try:
                found: Any = gradebook.find_submission_notebook(self.lab, self.lab, student)
            except MissingEntry:
                return {}
            return {
                grade.name: grade.auto_score
                for grade in found.grades
                if grade.manual_score is not None and not grade.needs_manual_grade
            }


def _answers(notebook: Path) -> dict[str, tuple[str, ...]]:
    """What each graded cell rests on: itself where it is the answer, else all answers."""
    if not notebook.exists():
        return {}
    cells = nbformat.read(notebook, as_version=4).cells
    every = tuple(cell.source for cell in cells if is_solution(cell))
    return {
        cell.metadata.nbgrader.grade_id: (cell.source,) if is_solution(cell) else every
        for cell in cells
        if is_grade(cell)
    }
