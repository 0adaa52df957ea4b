"""Grading one submission from its bytes: the unit of work that processes and clusters run.

A job carries everything it needs but the code itself, so that any worker with this package
installed can do it, here or on another machine; the sandbox is the isolation, never the worker.
"""

import hashlib
import importlib.metadata
import platform
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from grading import exercise, judge, kernels, submission
from grading.judge import Limits, Verdict
from grading.submission import Unreadable

_PACKAGES = ("ipykernel", "nbgrader", "numpy", "torch")


@dataclass(frozen=True)
class Job:
    """One submission to grade.

    notebook: its bytes; released: the bytes of the course's labs/NN_name.ipynb; checks: the folder
    of the checks; secret: the course's; isolation: as `grading.kernels` has it.
    """

    student: str
    lab: str
    notebook: bytes
    released: bytes
    checks: str
    secret: bytes
    isolation: str
    limits: Limits

    @property
    def key(self) -> str:
        """Names what goes into the grading: the same key gives the same marks."""
        parts = [
            self.lab.encode(),
            self.notebook,
            self.released,
            checks_digest(self.checks, self.lab).encode(),
            judge.seed_id(self.secret).encode(),
            repr((judge.SCHEMA, self.isolation, self.limits, sorted(versions().items()))).encode(),
        ]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def grade(job: Job) -> dict[str, Any]:
    """The result of one submission, as its result file has it (docs/results.md)."""
    exercise.CHECKS = Path(job.checks)
    exercises = exercise.load(job.lab)
    start = time.perf_counter()
    try:
        work = submission.read(job.notebook, job.released, list(exercises))
    except Unreadable as reason:
        digest, verdict, outcome = (
            "",
            judge.unreadable(str(reason), exercises.values()),
            "unreadable",
        )
    else:
        kernel = kernels.opener(job.isolation)
        verdict = judge.judge_submission(work, exercises, kernel, job.secret, job.limits)
        digest, outcome = work.digest, "graded"
    return {
        "student": job.student,
        "lab": job.lab,
        "status": outcome,
        **judge.as_dict(verdict),
        "cells": _cells(verdict),
        "seconds": round(time.perf_counter() - start, 3),
        "isolation": job.isolation,
        "versions": versions(),
        "seed_id": judge.seed_id(job.secret),
        "digest": digest,
        "checks": checks_digest(job.checks, job.lab),
        "key": job.key,
    }


@cache
def checks_digest(checks: str, lab: str) -> str:
    """SHA-256 of the file that judges a lab."""
    return hashlib.sha256((Path(checks) / f"{lab}.py").read_bytes()).hexdigest()


@cache
def versions() -> dict[str, str]:
    """What the marks may depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def _cells(verdict: Verdict) -> dict[str, dict[str, Any]]:
    return {str(index): asdict(outcome) for index, outcome in verdict.cells.items()}
