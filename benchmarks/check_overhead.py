"""How long `check(...)` takes beyond the learner's own code, in a real notebook kernel.

    python benchmarks/check_overhead.py

Runs every check of every lab on the lab's reference, several times each, and prints the median and
the slowest. "Own" is the time inside the student's calls; "beyond" is everything else: drawing
inputs, the codec, comparing, and rendering the answer.
"""

import statistics
import time

import numpy as np

from grading.answer import exercise, render
from grading.check import Notebook
from tests.labs import reference
from utils import device

TIMES = 5


class Stopwatch(Notebook):
    """A notebook that adds up the time spent in the student's calls."""

    own = 0.0

    def _guarded(self, run, name, limit):  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        try:
            return super()._guarded(run, name, limit)
        finally:
            self.own += time.perf_counter() - start


def measure(one: exercise.Exercise, namespace: dict) -> tuple[float, float]:
    """Seconds in the learner's code and beyond it, for one check."""
    runner, start = Stopwatch(namespace), time.perf_counter()
    result = exercise.run(one, runner, np.random.default_rng())
    render.html(result), render.text(result)
    return runner.own, time.perf_counter() - start - runner.own


def main() -> None:
    print(f"{device.describe()}; {time.strftime('%Y-%m-%d')}; median of {TIMES}, milliseconds")
    every = []
    for lab in exercise.labs():
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
    main()
