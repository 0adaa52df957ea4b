"""Grading one submission from its bytes: the unit of work that processes and clusters run.

A job carries everything it needs but the code itself, so that any worker with this course
installed can do it, here or on another machine; the sandbox is the isolation, never the worker.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from grading.answer import exercise
from grading.answer.say import Say, speaking
from grading.course import cells
from grading.course.files import CourseError, lab_of
from grading.course.languages.entries import translated
from grading.course.languages.speech import Speech, said
from grading.marking import judge, kernels, slicing, submission, verdict
from grading.marking.digest import checks_digest
from grading.marking.judge import TimeLimits
from grading.marking.submission import Submission, Unreadable

OVERLOAD = 1.25  # of the processors: what waits beside that many takes others' time
_PACKAGES = ("ipykernel", "nbgrader", "numpy", "perceptron-to-pipeline", "torch")


@dataclass(frozen=True)
class Setting:
    """What all submissions of one run have in common.

    released: the bytes of the course's labs/NN_name.ipynb; answers: the code of right answers, by
    exercise (no session has one but to judge what stands on it), {} where solutions/ has none;
    checks: the folder of the checks;
    secret: the course's; isolation: as `kernels` has it; scale: as LAB_SCALE has it; all_cells: run
    those, too, that no answer stands on; originals: as `submission.read` has them; said: for each
    language that the lab is released in, beside the original, its messages by their English.
    """

    lab: str
    released: bytes
    answers: Mapping[str, str]
    checks: str
    secret: bytes
    isolation: str
    scale: str = "smoke"
    gpu: bool = False
    limits: TimeLimits = field(default_factory=TimeLimits)
    all_cells: bool = False
    originals: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def speech(self, language: str) -> Say:
        """What says the messages of a notebook in this language: a name that a notebook gives
        chooses among the course's catalogues, and nothing else."""
        return Speech(self.said[language]) if language in self.said else str

    @property
    def checks_file(self) -> Path:
        return Path(self.checks, f"{self.lab}.py")

    def read(self, notebook: bytes, exercises: Sequence[str]) -> Submission:
        """What of a notebook is run, and where each exercise is judged. Raises Unreadable."""
        work = submission.read(notebook, self.released, exercises, self.originals)
        if self.all_cells:
            return work
        asked = slicing.asked_by(self.checks_file)
        return slicing.sliced(work, json.loads(self.released), exercises, asked)

    def usual_code(self) -> str:
        """About what a submission runs: right answers, and what the release has around them."""
        released = self.read(self.released, list(self.answers))
        return "\n".join([*self.answers.values(), released.code])

    @property
    def lacks(self) -> str:
        """What the course lacks to judge each answer apart from the others, or nothing."""
        if self.answers:
            return ""
        missing = f"There is no solutions/{self.lab}.py"
        return f"{missing}: what builds on a wrong answer is not judged apart from it."


def setting_of(
    root: Path, lab: str, isolation: str, *, gpu: bool = False, all_cells: bool = False
) -> Setting:
    """What the submissions of a lab of this course have in common. Raises CourseError."""
    name = lab_of(root, lab)
    checks = root / "grading" / "checks"
    if not (checks / f"{name}.py").exists():
        raise CourseError(f"{checks / name}.py is not there: without it {name} cannot be judged.")
    solution = root / "solutions" / f"{name}.py"
    return Setting(
        name,
        (root / "labs" / f"{name}.ipynb").read_bytes(),
        cells.answers(solution) if solution.exists() else {},
        str(checks.resolve()),
        course_secret(root),
        isolation,
        os.environ.get("LAB_SCALE") or "smoke",
        gpu,
        all_cells=all_cells,
        originals=_originals(root, name),
        said={language: said(root, language, name) for language in translated(root, name)},
    )


def _originals(root: Path, lab: str) -> dict[str, str]:
    """The code cells of a lab in its other languages, each with the original's. CourseError."""
    found, original = dict[str, str](), _code(root / "labs" / f"{lab}.ipynb")
    for file in translated(root, lab).values():
        cells = _code(file)
        if len(cells) != len(original):
            raise CourseError(f"{file} is not of the same release as labs/: run `make release`.")
        found |= {cell: own for cell, own in zip(cells, original, strict=True) if cell != own}
    return found


def _code(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_bytes())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def course_secret(root: Path) -> bytes:
    """The course's secret, from which the seeds of graded inputs are drawn; made on first use."""
    file = root / "course" / "secret"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent)  # readable by its owner only
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another process was first
            os.link(name, file)
        os.unlink(name)
    return file.read_bytes()


@dataclass(frozen=True)
class Job:
    """One submission to grade. notebook: its bytes; note: what was odd about finding it."""

    student: str
    notebook: bytes
    setting: Setting
    note: str = ""

    @property
    def inputs(self) -> dict[str, str]:
        """Digests of what goes into the grading: the same inputs give the same marks."""
        given = self.setting
        of_run = (
            given.lab,
            given.released,
            dict(given.answers),
            given.isolation,
            given.scale,
            given.gpu,
            given.limits,
            given.all_cells,
            dict(given.originals),
        )
        run = [repr((verdict.SCHEMA, *of_run, sorted(versions().items()))).encode(), given.secret]
        return {
            "notebook": hashlib.sha256(self.notebook).hexdigest(),
            "run": hashlib.sha256(b"".join(run)).hexdigest(),
            "checks": checks_digest(given.checks, given.lab),
        }


def grade(job: Job) -> dict[str, Any]:
    """The result of one submission, as its result file has it (docs/results.md).

    Raises grading.marking.judge.NoSession where no kernel can be started.
    """
    given, start = job.setting, time.perf_counter()
    exercises = exercise.load(given.lab, Path(given.checks))
    try:
        work = given.read(job.notebook, list(exercises))
    except Unreadable as reason:
        status, digest, language = "unreadable", "", ""
        found = verdict.unreadable(str(reason), exercises.values(), given.isolation)
    else:
        status, digest = "graded", work.digest
        language = work.language if work.language in given.said else ""
        kernel = kernels.opener(given.isolation, given.limits, given.scale, given.gpu, work.code)
        with speaking(given.speech(language)):
            found = judge.judge_submission(
                work, exercises, kernel, given.secret, given.limits, given.answers
            )
    found.notes = [note for note in (job.note, *found.notes) if note]
    return {
        "student": job.student,
        "lab": given.lab,
        "status": status,
        "language": language,
        **verdict.as_dict(found),
        "seconds": round(time.perf_counter() - start, 3),
        "starved": verdict.met_time_limit(found) and _overloaded(),
        "versions": versions(),
        "seed_id": judge.seed_id(given.secret),
        "digest": digest,
        "inputs": job.inputs,
    }


def _overloaded() -> bool:
    """Whether this machine has had more to do, in the last minute, than it has processors for."""
    return os.getloadavg()[0] > OVERLOAD * (os.cpu_count() or 1)


@cache
def versions() -> dict[str, str]:
    """What the marks may depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}
