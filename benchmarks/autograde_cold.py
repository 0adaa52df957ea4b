"""`python -m grading` with each sandboxed kernel started afresh, for `benchmarks/autograde.py`.

multiprocessing runs this file in each process that grades, before the work.
"""

import sys
from typing import Any

from grading import sandbox
from grading.__main__ import main

open_kernel = sandbox.open_kernel


def open_afresh(*arguments: Any, **options: Any) -> sandbox.SandboxKernel:
    return open_kernel(*arguments, **{**options, "fast": False})


sandbox.open_kernel = open_afresh

if __name__ == "__main__":
    sys.exit(main())
