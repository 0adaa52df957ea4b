"""Everything that a machine with GPUs can try of the course, in minutes: `python -m grading gpu`.

`machine` looks what there is, `steps` says what to try and in which order, `runner` runs each step
in a process of its own, with a limit of time, and `report` writes down what came of it. What a step
does is in `labs`, `parallel` and `kernels`. Nothing here, nor what it runs, needs Jupyter.
"""
