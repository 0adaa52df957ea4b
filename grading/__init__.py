"""Checks, and everything around them, in rooms by who may see what is in them.

- `answer/` may stand beside a student's code: the handle that a check talks to, its other end, what
  passes between, what the learner sees. The sandbox shows this folder and no other.
- `checks/` is for the process that judges: the checks of each lab, the right answers, the known
  wrong ones, and how they are compared.
- `course/` makes the labs from `solutions/`, keeps a learner's copy, runs everything.
- `marking/` grades what was handed in; `sandbox/` isolates it; `gradebook/` records and reports.

The doors are `check`, which labs import, and `__main__`, the command line. Imports run one way:
answer ← checks, course ← marking ← gradebook ← the command line; `sandbox` needs none of them;
`utils` imports nothing of this.
"""

import sys

# jsonschema, which nbformat uses, compiles a grammar of web addresses when it is imported; that
# takes longer than all the rest of it, and no notebook's schema asks for it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # an ImportError, to it
