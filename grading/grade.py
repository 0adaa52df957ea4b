"""Grading one submission from its bytes: the unit of work that processes and clusters run.

A job carries everything it needs but the code itself, so that any worker with this course
installed can do it, here or on another machine; the sandbox is the isolation, never the worker.
"""

import hashlib
import importlib.metadata
import platform
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from grading import exercise, judge, kernels, submission, verdict
from grading.judge import Limits
from grading.submission import Unreadable

_PACKAGES = ("ipykernel", "nbgrader", "numpy", "perceptron-to-pipeline", "torch")
# What decides, beside the checks.
_JUDGING = ("calls", "codec", "exercise", "expect", "fault", "student")


@dataclass(frozen=True)
class Setting:
    """What all submissions of one run have in common.

    released: the bytes of the course's labs/NN_name.ipynb; checks: the folder of the checks;
    secret: the course's; isolation: as `grading.kernels` has it; scale: as LAB_SCALE has it.
    """

    lab: str
    released: bytes
    checks: str
    secret: bytes
    isolation: str
    scale: str = "smoke"
    gpu: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Job:
    """One submission to grade. notebook: its bytes."""

    student: str
    notebook: bytes
    setting: Setting

    @property
    def inputs(self) -> dict[str, str]:
        """Digests of what goes into the grading: the same inputs give the same marks."""
        given = self.setting
        of_run = (given.lab, given.released, given.isolation, given.scale, given.gpu, given.limits)
        run = [repr((verdict.SCHEMA, *of_run, sorted(versions().items()))).encode(), given.secret]
        return {
            "notebook": hashlib.sha256(self.notebook).hexdigest(),
            "run": hashlib.sha256(b"".join(run)).hexdigest(),
            "checks": checks_digest(given.checks, given.lab),
        }


def grade(job: Job) -> dict[str, Any]:
    """The result of one submission, as its result file has it (docs/results.md).

    Raises grading.judge.NoSession where no kernel can be started.
    """
    given, start = job.setting, time.perf_counter()
    exercises = exercise.load(given.lab, Path(given.checks))
    try:
        work = submission.read(job.notebook, given.released, list(exercises))
    except Unreadable as reason:
        status, digest = "unreadable", ""
        found = verdict.unreadable(str(reason), exercises.values(), given.isolation)
    else:
        status, digest = "graded", work.digest
        kernel = kernels.opener(given.isolation, given.limits, given.scale, given.gpu)
        found = judge.judge_submission(work, exercises, kernel, given.secret, given.limits)
    return {
        "student": job.student,
        "lab": given.lab,
        "status": status,
        **verdict.as_dict(found),
        "seconds": round(time.perf_counter() - start, 3),
        "versions": versions(),
        "seed_id": judge.seed_id(given.secret),
        "digest": digest,
        "inputs": job.inputs,
    }


def checks_digest(checks: str, lab: str) -> str:
    """SHA-256 of what judges a lab."""
    here = Path(__file__).parent
    shared = sorted(Path(checks).glob("[!0-9]*.py"))  # what the labs' checks have beside them
    files = [Path(checks) / f"{lab}.py", *shared, *(here / f"{name}.py" for name in _JUDGING)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


@cache
def versions() -> dict[str, str]:
    """What the marks may depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}
