"""What was handed in: SUBMISSIONS/<student>/NN_name.ipynb, or <student>/NN_name/ with it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from grading.course.files import CourseError
from grading.marking.submission import MAX_BYTES

_UNFIT = re.compile(r"[<>&\"\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class HandedIn:
    """One student's submission of a lab. folder: the student's; file: the notebook in it."""

    student: str
    folder: Path
    file: Path

    def content(self) -> bytes:
        """Its bytes; none of what is no file of this student's own, such as a link to another's."""
        return self._own(self.file)

    def timestamp(self) -> bytes:
        """When it was handed in, as who collected it wrote beside it in nbgrader's form; or none"""
        return self._own(self.file.with_name("timestamp.txt"))[:100]

    def _own(self, file: Path) -> bytes:
        try:
            # The folder itself may be a link to a classmate's, too.
            own = self.folder.parent.resolve() / file.relative_to(self.folder.parent)
            if file.resolve() != own or not own.is_file():
                return b""
            with own.open("rb") as stream:  # a file may be as long as its writer says
                return stream.read(MAX_BYTES + 1)
        except OSError:
            return b""


def handed_in(folder: Path, lab: str) -> list[HandedIn]:
    """The submissions of a lab: <student>/NN_name.ipynb, or nbgrader's <student>/NN_name/ with it.

    Raises CourseError if there is none.
    """
    found = []
    for student in sorted(folder.iterdir()) if folder.is_dir() else []:
        files = (student / f"{lab}.ipynb", student / lab / f"{lab}.ipynb")
        file = next(filter(os.path.lexists, files), None)
        if file is None or student.name.startswith("."):
            continue
        if _UNFIT.search(student.name):
            raise CourseError(
                f"The name of the folder {student.name!a} is not fit for web pages: rename it."
            )
        found.append(HandedIn(student.name, student, file))
    if not found:
        raise CourseError(f"There is nothing to grade: no {folder}/<student>/{lab}.ipynb.")
    return found
