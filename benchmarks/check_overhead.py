"""How long `check(...)` takes beyond the learner's own code, in a real notebook kernel.

    python benchmarks/check_overhead.py        # or of some labs: 13 17

Runs every check of every lab on the lab's reference, several times each, and prints the median and
the slowest. "Own" is the time inside the student's calls; "beyond" is everything else: drawing
inputs, the codec, comparing, and rendering the answer. It is the time of this process's processor,
with one thread for PyTorch, so that it hardly depends on what else runs. The goal is less than
200 ms beyond.

Lab 17's `train` is over it. It carries ten programs of two to four ranks message by message, and
each message is a request and a reply through the codec: what is ended in the middle, and goes on,
is the exercise. Its real processes are started in the learner's call, and count as own.
"""

import statistics
import sys
import time

import numpy as np
import torch

from grading.answer import exercise, render
from grading.check import Notebook
from tests.labs import reference
from utils import device

TIMES = 5


class Stopwatch(Notebook):
    """A notebook that adds up the time spent in the student's calls."""

    own = 0.0

    def _guarded(self, run, name, limit):  # type: ignore[no-untyped-def]
        start = time.process_time()
        try:
            return super()._guarded(run, name, limit)
        finally:
            self.own += time.process_time() - start


def measure(one: exercise.Exercise, namespace: dict) -> tuple[float, float]:
    """Seconds in the learner's code and beyond it, for one check."""
    runner, start = Stopwatch(namespace), time.process_time()
    result = exercise.run(one, runner, np.random.default_rng())
    render.html(result), render.text(result)
    return runner.own, time.process_time() - start - runner.own


def main(*wanted: str) -> None:
    """wanted: the numbers of some labs; default: all."""
    torch.set_num_threads(1)
    print(f"{device.describe()}; {time.strftime('%Y-%m-%d')}; median of {TIMES}, milliseconds")
    every = []
    for lab in (lab for lab in exercise.labs() if not wanted or lab[:2] in wanted):
        namespace = dict(reference(lab))
        for one in exercise.load(lab).values():
            pairs = [measure(one, namespace) for _ in range(TIMES)]
            own, beyond = (statistics.median(column) for column in zip(*pairs, strict=True))
            every.append(beyond)
            line = f"{lab:<24}{one.name:<28} own {own * 1e3:8.1f}   beyond {beyond * 1e3:6.1f}"
            print(line, flush=True)
    print(
        f"beyond the learner's own code: median {statistics.median(every) * 1e3:.1f} ms,", end=" "
    )
    print(f"slowest {max(every) * 1e3:.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
