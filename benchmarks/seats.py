"""How long a learner waits for a seat, and how much memory a seat takes.

    python benchmarks/seats.py --learners 6

Simulated learners sign in at a real hub on this machine, over HTTP as a browser does: first one
alone, then the others at once. Each waits for the seat, opens lab 01 and has an exercise checked;
the time is from the sign-in to the check's answer. Then the memory of each seat's processes is
read, as PSS: what several share counts once, in parts. What a browser takes to draw is not in it.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from tests.workshop.seats import Hub, Visitor, open_python, served
from utils import device

CELLS = 'from grading.check import checks\ncheck = checks("01_perceptron")\ncheck("neuron")'


class Learner(threading.Thread):
    """One who signs in. signed_in, opened, answered: seconds since the beginning."""

    def __init__(self, hub: Hub, number: int) -> None:
        super().__init__()
        self.visitor = Visitor(hub, f"Learner {number}")
        self.signed_in = self.opened = self.answered = 0.0

    def run(self) -> None:
        began = time.perf_counter()
        self.visitor.sign_in()
        self.signed_in = time.perf_counter() - began
        self.visitor.open()
        self.opened = time.perf_counter() - began
        assert "neuron" in self.visitor.run(CELLS)
        self.answered = time.perf_counter() - began


def at_once(hub: Hub, numbers: range) -> list[Learner]:
    learners = [Learner(hub, number) for number in numbers]
    for one in learners:
        one.start()
    for one in learners:
        one.join()
    times = {name: [vars(one)[name] for one in learners] for name in ("opened", "answered")}
    for name, found in times.items():
        print(
            f"{len(learners)} at once, {name}: median {statistics.median(found):.1f} s, last"
            f" {max(found):.1f} s"
        )
    return learners


def memory(hub: Hub) -> None:
    """Print what the seats and the hub hold."""
    seats: dict[str, dict[str, float]] = defaultdict(dict)
    for pid in hub.seats():
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        kind = "kernel" if "ipykernel_launcher" in words else "server"
        home = [
            line
            for line in Path(f"/proc/{pid}/environ").read_text().split("\0")
            if line.startswith("HOME=")
        ]
        seats[home[0]][kind] = pss(pid)
    for kind in ("server", "kernel"):
        found = [one[kind] for one in seats.values() if kind in one]
        print(f"a seat's {kind}: median {statistics.median(found):.0f} MB of {len(found)}")
    assert hub.process is not None
    print(f"the hub with its board: {pss(hub.process.pid):.0f} MB")


def pss(pid: int) -> float:
    """In MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (line,) = [one for one in text.splitlines() if one.startswith("Pss:")]
    return int(line.split()[1]) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--learners", type=int, default=6, help="that come at once, after one")
    options = parser.parse_args()
    print(f"{device.describe()}; {time.strftime('%Y-%m-%d')}; load {os.getloadavg()[0]:.1f}")
    with served(python=open_python()) as hub:
        at_once(hub, range(1))
        at_once(hub, range(1, options.learners + 1))
        memory(hub)
    return 0


if __name__ == "__main__":
    sys.exit(main())
