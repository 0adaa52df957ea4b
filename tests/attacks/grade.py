"""`python -m grading autograde` on a course that is elsewhere, with limits of its own.

    python -m tests.attacks.grade COURSE CELL_SECONDS TOTAL_SECONDS [--trust-submissions]
"""

import sys
from functools import partial
from pathlib import Path

from grading import batch, kernels
from grading.executors import processes
from grading.grade import Setting
from grading.judge import Limits
from tests.attacks import LAB


def main(course: str, cell: str, total: str, *options: str) -> int:
    root = Path(course)
    setting = Setting(
        lab=LAB,
        released=(root / "labs" / f"{LAB}.ipynb").read_bytes(),
        checks=str(root / "grading" / "checks"),
        secret=batch.course_secret(root),
        isolation=kernels.TRUSTED if "--trust-submissions" in options else kernels.isolation(),
        limits=Limits(float(cell), float(cell), float(total)),
    )
    submissions = batch.handed_in(root / "submissions", LAB)
    tally = batch.autograde(submissions, setting, root / "results", partial(processes, 2), 4)
    for student, why in tally.failed.items():
        print(f"{student}: {why}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
