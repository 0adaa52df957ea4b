"""`python -m grading autograde` on a course that is elsewhere, with limits of its own.

    python -m tests.attacks.grade COURSE CELL_SECONDS TOTAL_SECONDS [--trust-submissions]
"""

import sys
from pathlib import Path

from grading import batch
from grading.judge import Limits
from tests.attacks import LAB


def main(course: str, cell: str, total: str, *options: str) -> int:
    batch.Limits = lambda: Limits(float(cell), float(total))  # type: ignore[assignment]
    root = Path(course)
    trust = "--trust-submissions" in options
    return batch.run(
        root, LAB, root / "submissions", root / "results", at_once=2, scheduler=None, trust=trust
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
