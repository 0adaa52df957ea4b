"""What was handed in: SUBMISSIONS/<student>/NN_name.ipynb, or <student>/NN_name/ with it.

Nobody is passed over in silence: a folder that does not have the notebook is told, with what lies
there; where exactly one other notebook is the lab's by what is in it, that one is taken, and noted.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grading.course.files import CourseError
from grading.marking.submission import MAX_BYTES, measure

NAME = "letters, digits, blanks and . , _ - + @ ( ) ', beginning with a letter or digit"
_NAME = re.compile(r"[^\W_](?:[\w .,+@()'-]{0,98}[\w)+@'-])?")
_LOOKED_AT = 50  # notebooks in a folder that has not the one that is expected


@dataclass(frozen=True)
class HandedIn:
    """One student's submission of a lab.

    folder: the student's; file: the notebook in it; note: what was odd about finding it.
    """

    student: str
    folder: Path
    file: Path
    note: str = ""

    def content(self) -> bytes:
        """Its bytes; none of what is no file of this student's own, such as a link to another's."""
        return self._own(self.file)

    def timestamp(self) -> bytes:
        """When it was handed in, as who collected it wrote beside it in nbgrader's form; or none"""
        return self._own(self.file.with_name("timestamp.txt"))[:100]

    def _own(self, file: Path) -> bytes:
        """A regular file's content; no step on the way to it may be a link, now or in between."""
        *folders, last = file.relative_to(self.folder.parent).parts
        at = -1
        try:
            at = os.open(self.folder.parent, os.O_RDONLY | os.O_DIRECTORY)
            for name in folders:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            with os.fdopen(os.open(last, flags, dir_fd=at), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    return b""
                return stream.read(MAX_BYTES + 1)  # a file may be as long as its writer says
        except OSError:
            return b""
        finally:
            if at >= 0:
                os.close(at)


@dataclass
class Pile:
    """What lies in a folder of submissions. passed_over: why a folder gives none, by its name."""

    submissions: list[HandedIn] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)


def handed_in(folder: Path, lab: str) -> Pile:
    """The submissions of a lab. Raises CourseError if there is none."""
    pile = Pile()
    for student in sorted(folder.iterdir()) if folder.is_dir() else []:
        if student.name.startswith(".") and not any(_notebooks(student)):
            continue  # such as .git, or what a file manager leaves
        found = fault_of_name(student.name) or submission_in(student, lab)
        if isinstance(found, HandedIn):
            pile.submissions.append(found)
        else:
            pile.passed_over[student.name] = found
    if not pile.submissions:
        lines = "".join(f"\n  {name!a}: {why}" for name, why in pile.passed_over.items())
        raise CourseError(f"There is nothing to grade: no {folder}/<student>/{lab}.ipynb.{lines}")
    return pile


def fault_of_name(name: str) -> str:
    """Why a student cannot be called so, or nothing."""
    if _NAME.fullmatch(name) and name.isprintable():
        return ""
    return f"its name is not fit for pages, tables and nbgrader: rename the folder ({NAME})"


def submission_in(student: Path, lab: str) -> HandedIn | str:
    """The submission in a student's folder, or why there is none."""
    if student.is_symlink() or not student.is_dir():
        return f"it is no folder: put the notebook into a folder, <student>/{lab}.ipynb"
    for file in (student / f"{lab}.ipynb", student / lab / f"{lab}.ipynb"):
        if os.path.lexists(file):
            return HandedIn(student.name, student, file)
    others = list(_notebooks(student))
    if not others:
        return "it is empty" if not any(student.iterdir()) else "it holds no notebook"
    listed = ", ".join(str(file.relative_to(student)) for file in others[:5])
    candidates = [one for one in others if _is_lab(HandedIn(student.name, student, one), lab)]
    if len(candidates) != 1:
        several = "several that may be it" if candidates else "none that is it"
        return f"it has no {lab}.ipynb, and {several}: {listed}"
    name = candidates[0].relative_to(student)
    note = f"There is no {lab}.ipynb: {name} was graded, which is that lab by what is in it."
    return HandedIn(student.name, student, candidates[0], note)


def _notebooks(folder: Path) -> Iterator[Path]:
    """The notebooks in a folder and its folders, but for those that Jupyter keeps as copies."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != ".ipynb_checkpoints")
        for name in sorted(files):
            if name.lower().endswith(".ipynb") and count < _LOOKED_AT:
                count += 1
                yield Path(place, name)


def lab_in(content: bytes) -> str | None:
    """The lab that a notebook is by the name that release wrote into it; None if it says none."""
    try:
        measure(content)
        return str(json.loads(content)["metadata"]["lab"]["name"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_lab(one: HandedIn, lab: str) -> bool:
    """Whether a notebook is the lab by the name that release wrote into it, or by its own."""
    named = lab_in(one.content())
    if named is not None:
        return named == lab
    return one.file.name.lower().startswith(lab.lower())
