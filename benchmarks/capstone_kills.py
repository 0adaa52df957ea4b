"""Lab 17's program, killed at random moments and started again: does it end with the same bits?

    python benchmarks/capstone_kills.py --kills 200

Each time one of four ranks is killed (SIGKILL), at something that it does with a file of its
checkpoints or after a random time; then all are started again, and the weights compared with those
of an undisturbed run. Prints what differs and how long it took; exit code 1 if anything does.
"""

import argparse
import os
import platform
import random
import signal
import sys
import tempfile
import threading
import time
from typing import Any

import torch

from tests.labs import reference
from tests.utils.test_program import ended, job
from utils import program, ranks


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/capstone_kills.py", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    options = parser.parse_args()
    choice, train, begun = (
        random.Random(options.seed),
        reference("17_capstone")["train"],
        time.time(),
    )
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, moments = _run(train, folder, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        seconds = max(_killed_after(train, folder, 0, 3600))
    tries = died = differ = 0
    while died < options.kills:
        tries += 1
        with tempfile.TemporaryDirectory() as folder:
            victim = choice.randrange(4)
            try:
                if tries % 2:
                    _run(train, folder, victim, choice.randint(1, moments[victim]))
                else:
                    _killed_after(train, folder, victim, choice.uniform(0, seconds))
            except ranks.RankError as error:
                died += error.reason == "died"
            left = sorted({name.partition("-")[0] for name in program.files(folder)})
            again, _ = _run(train, folder, 0, 0)
            if not all(torch.equal(a, b) for a, b in zip(undisturbed, again, strict=True)):
                differ += 1
                print(f"try {tries}: rank {victim}, left {left}: the weights differ")
    print(
        f"{tries} tries, {died} kills, {differ} ended differently,"
        f" {time.time() - begun:.0f} s; torch {torch.__version__}, {platform.machine()}"
    )
    return int(differ > 0)


def _run(train: Any, folder: str, victim: int, moment: int) -> tuple[list[Any], list[int]]:
    """The weights that it ends with, and what each rank did with files of checkpoints."""
    found = ranks.run(program.run_until, 4, train, job(), folder, victim, moment, device="cpu")
    return ended(found), [count for _, count in found]


def _killed_after(train: Any, folder: str, victim: int, seconds: float) -> list[float]:
    """For how many seconds each rank trained."""
    return ranks.run(_in_time, 4, train, folder, victim, seconds, device="cpu")


def _in_time(train: Any, folder: str, victim: int, seconds: float) -> float:
    """On a rank: train, and be killed after some seconds if it is the victim."""
    timer, start = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)), time.time()
    timer.daemon = True
    if torch.distributed.get_rank() == victim:
        timer.start()
    train(torch.distributed, job(), folder)
    timer.cancel()  # too late: it would kill this process in a later run
    return time.time() - start


if __name__ == "__main__":
    sys.exit(main())
