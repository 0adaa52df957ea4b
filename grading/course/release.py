"""solutions/NN_name.py -> labs/NN_name.ipynb, and an nbgrader course in course/.

nbgrader's own GenerateAssignment makes the learner's version, so that an instructor's
`nbgrader generate_assignment` in the course gives the same. What locale/ja has translated of it
goes into labs/ja/NN_name.ipynb, and with LAB_LANG=ja into the course's release.
"""

import io
import logging
import os
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ComputeChecksums, SaveCells
from traitlets.config import Config

from grading.answer import exercise
from grading.course import nbgrader_config
from grading.course.files import labs_in, plain_path, select, write_atomically
from grading.course.languages import prose
from grading.course.languages.entries import entries, languages
from grading.course.outline import asked_language, outline
from grading.course.source import ReleaseError, identify, read

PointsOf = Callable[[str], Mapping[str, float]]

_COURSE_CONFIG = """\
# Written once by `make release`; yours to add to.
import os
from pathlib import Path

from grading.course.nbgrader_config import configure

c = get_config()  # noqa: F821
configure(c)
c.SandboxedExecute.root = str(Path(__file__).parents[1])
# Grading runs the labs at the small scale; set LAB_SCALE for another.
os.environ.setdefault("LAB_SCALE", "smoke")
"""


def points_of(lab: str, folder: Path | None = None) -> dict[str, float]:
    """The exercises that a lab's checks declare, and their points. folder: of the checks."""
    try:
        return {name: one.points for name, one in exercise.load(lab, folder).items()}
    except exercise.UnknownExercise:
        message = f"solutions/{lab}.py has no checks yet: write grading/checks/{lab}.py."
        raise ReleaseError(message) from None


def release(
    root: Path, names: Sequence[str] | None = None, points_of: PointsOf = points_of
) -> list[Path]:
    """Generate labs/*.ipynb and the nbgrader course in course/; returns the notebooks' paths.

    names: labs by number or name; None for all, which also removes a notebook without a source.
    Raises ReleaseError (a source is malformed) or CourseError (no such lab or language), labs/
    untouched.
    """
    known = labs_in(plain_path(root) / "solutions", ".py")
    if os.environ.get("LAB_LANG", "") not in ("", *languages(root)):
        asked_language(outline(root))
    chosen = known if names is None else [lab for name in names for lab in select(known, name)]
    generated = _generate(root, chosen, root / "course", points_of)
    for file, content in generated.items():
        if _differs(file, content):
            write_atomically(file, content)
    if names is None:
        for file in _orphans(root):
            file.unlink()
    return list(generated)


def check_release(root: Path, points_of: PointsOf = points_of) -> list[str]:
    """One sentence for each notebook in labs/ that is not what its source gives."""
    known = labs_in(root / "solutions", ".py")
    with tempfile.TemporaryDirectory() as course:
        generated = _generate(root, known, Path(course), points_of, record=False)
    stale = [
        f"{file.relative_to(root)} is not what solutions/{file.stem}.py gives: "
        "make the change in the source, then run `make release`."
        for file, content in generated.items()
        if _differs(file, content)
    ]
    return stale + [
        f"{file.relative_to(root)} has no source solutions/{file.stem}.py: run `make release`."
        for file in _orphans(root)
    ]


def _orphans(root: Path) -> list[Path]:
    known = labs_in(root / "solutions", ".py")
    return [
        folder / f"{lab}.ipynb"
        for folder in (root / "labs", *(root / "labs" / one for one in languages(root)))
        for lab in labs_in(folder, ".ipynb")
        if lab not in known
    ]


def _differs(file: Path, content: bytes) -> bool:
    return not file.exists() or file.read_bytes() != content


def _generate(
    root: Path, labs: Sequence[str], course: Path, points_of: PointsOf, record: bool = True
) -> dict[Path, bytes]:
    """Run nbgrader's generate_assignment in `course`: each notebook of labs/ and its content.

    record: whether the assignments go into the course's gradebook.
    """
    sources = _read_all(root, labs, points_of)
    config = course / "nbgrader_config.py"
    # Solutions, students' work and marks: for nobody else on this machine.
    course.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not config.exists():
        write_atomically(config, _COURSE_CONFIG.encode())
    generated = {}
    with scripts_on_path():
        for lab, nb in sources.items():
            write_atomically(course / "source" / lab / f"{lab}.ipynb", _dump(nb))
            _generate_assignment(course, lab, record)
            file = course / "release" / lab / f"{lab}.ipynb"
            released = nbformat.read(file, as_version=4)
            generated[root / "labs" / f"{lab}.ipynb"] = _dump(released)
            for language in languages(root):
                said = entries(root, language, lab)
                if not any(said.values()):
                    continue  # nobody has begun to translate it
                translated = _dump(_translated(released, language, said))
                generated[root / "labs" / language / f"{lab}.ipynb"] = translated
                if record and os.environ.get("LAB_LANG") == language:
                    write_atomically(file, translated)
    return generated


def _translated(nb: NotebookNode, language: str, said: Mapping[str, str]) -> NotebookNode:
    """A released notebook in another language, with ids and checksums of its own texts."""
    nb = deepcopy(nb)
    prose.translate(nb, lambda text: said.get(text) or text)
    identify(nb.cells)
    nb, _ = ComputeChecksums().preprocess(nb, {})
    nb.metadata.lab.language = language
    nb.metadata.lab.release = nbgrader_config.fingerprint(nb)
    return nb


def _read_all(root: Path, labs: Sequence[str], points_of: PointsOf) -> dict[str, NotebookNode]:
    faults, sources = [], {}
    for lab in labs:
        try:
            sources[lab] = read(root / "solutions" / f"{lab}.py", points_of(lab))
        except ReleaseError as error:
            faults.append(str(error))
    if faults:
        raise ReleaseError("\n".join(faults))
    return sources


def _generate_assignment(course: Path, lab: str, record: bool) -> None:
    config = Config()
    nbgrader_config.configure(config)
    config.CourseDirectory.root = str(course.resolve())
    if not record:
        config.GenerateAssignment.no_database = True
        config.GenerateAssignment.preprocessors.remove(SaveCells)
    log, said = logging.Logger("nbgrader"), io.StringIO()
    log.addHandler(logging.StreamHandler(said))
    folder = CourseDirectory(config=config, assignment_id=lab, log=log)
    converter = GenerateAssignment(coursedir=folder, config=config, force=True, log=log)
    try:
        converter.start()
    except NbGraderException as error:
        # nbgrader logs the traceback of what went wrong, whose last line is the reason.
        reasons = [line for line in said.getvalue().splitlines() if "Error: " in line]
        reason = (reasons[-1].partition("Error: ")[2] if reasons else str(error)).rstrip(".")
        raise ReleaseError(
            f"nbgrader would not generate {lab} in {course}: {reason}; mend that, or move the"
            " course away and `make release` begins a new one."
        ) from error


@contextmanager
def scripts_on_path() -> Iterator[None]:
    """A new gradebook makes nbgrader call `alembic`, which an unactivated .venv has not on PATH."""
    path = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), path])
    try:
        yield
    finally:
        os.environ["PATH"] = path


def _dump(nb: NotebookNode) -> bytes:
    return (nbformat.writes(nb).rstrip("\n") + "\n").encode()
