"""Checks, and everything around them, in three groups.

**An exercise and its answer.** `exercise` declares and runs checks (`checks/NN_name.py`), `expect`
compares, `calls` finds library calls in a source, `fault` says what is wrong, `student` is the
handle that a check talks to, `runner` its other end beside the student's code, `codec` what passes
between. `check` is the learner's door, `render` what they see, `progress` their standing.

**The course.** `source` reads `solutions/`, `release` makes `labs/`, `workspace` keeps `my_labs/`
(`start_page`, `carry_over`), `execute` runs everything through papermill. `course` is what these
share, `nbgrader_config` what nbgrader does differently here.

**Grading many.** `submission` reads what was handed in, `judge` decides what it is worth, in a
`session` with a kernel (`kernels`; `sandbox/` isolates it), `grade` does one submission,
`autograde` many (`batch`, `executors`). `record` writes results (`verdict`) into nbgrader's
gradebook through `judged`, which stands in for nbgrader's Execute; `report` and `rejudge` use kept
results again.

Imports run one way: labs import `grading.check` and nothing else of this; `utils` imports none.
"""
