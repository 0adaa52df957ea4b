"""How soon the instructor's page shows what a class does, and what a check pays for it.

    python benchmarks/workshop.py --learners 60 --seconds 30 --kills 3

Simulated learners check an exercise at random moments, each about once in four seconds, over HTTP
against a real board on this machine; one reader of the live stream notes when each check is shown.
Then the board is killed and opened again while they go on, and what it has is counted. At last it
measures what `checked` costs a notebook. Exits with 1 if anything was lost or counted twice.
"""

import argparse
import http.client
import json
import os
import random
import secrets
import statistics
import sys
import tempfile
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path

from grading.learner import member
from grading.learner.wire import Unreachable
from tests.workshop.classroom import Board, Learner, opened
from utils import device

LAB, EXERCISE = "05_convolution", "output_size"
PAUSE = 4.0  # seconds between two checks of one learner, on average


class Class:
    """Learners at work, each in a thread. sent: when each learner's checks were sent first."""

    def __init__(self, learners: list[Learner]) -> None:
        self.learners = learners
        self.sent: list[list[float]] = [[] for _ in learners]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(i,)) for i in range(len(learners))
        ]

    def work(self, seconds: float) -> None:
        """Let them begin, and end after these seconds."""
        for thread in self._threads:
            thread.start()
        threading.Timer(seconds, self._stop.set).start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, i: int) -> None:
        chance = random.Random(i)
        while not self._stop.wait(chance.expovariate(1 / PAUSE)):
            event = {"kind": "check", "lab": LAB, "exercise": EXERCISE, "id": secrets.token_hex(8)}
            self.sent[i].append(time.perf_counter())
            while True:  # as a notebook does: the same event until the board has it
                try:
                    self.learners[i].send({**event, "misconception": "k - 1"})
                    break
                except Unreachable:
                    time.sleep(0.2)


class Reader(threading.Thread):
    """The page. seen: when it first showed each learner's checks; bytes: of the last picture."""

    def __init__(self, board: Board, count: int) -> None:
        super().__init__(daemon=True)
        self.seen: list[list[float]] = [[] for _ in range(count)]
        self.bytes = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", board.port)
        headers = {"Authorization": f"Bearer {board.key}"}
        self._connection.request("GET", "/api/live", headers=headers)
        self._stream = self._connection.getresponse()

    def run(self) -> None:
        while line := self._stream.readline():
            if not line.startswith(b"data: "):
                continue
            now, self.bytes = time.perf_counter(), len(line)
            for learner in json.loads(line[6:])["learners"]:
                if not learner["name"].startswith("Learner"):
                    continue
                cell = learner["labs"].get(LAB, {}).get(EXERCISE, {"attempts": 0})
                times = self.seen[int(learner["name"].split()[1])]
                times += [now] * (cell["attempts"] - len(times))


def to_the_page(board: Board, learners: list[Learner], seconds: float) -> None:
    group, reader = Class(learners), Reader(board, len(learners))
    reader.start()
    group.work(seconds)
    group.wait()
    time.sleep(1)
    late = sorted(
        seen - sent
        for ours, theirs in zip(group.sent, reader.seen, strict=True)
        for sent, seen in zip(ours, theirs, strict=True)
    )
    last = late[min(len(late) - 1, int(0.99 * len(late)))]
    print(
        f"{len(late)} checks of {len(learners)} learners in {seconds:g} s; from check to page:"
        f" median {statistics.median(late) * 1000:.0f} ms, p99 {last * 1000:.0f} ms, slowest"
        f" {late[-1] * 1000:.0f} ms; a picture has {reader.bytes / 1024:.0f} kB"
    )


def over_kills(board: Board, learners: list[Learner], kills: int) -> int:
    """Checks that were lost, or counted twice."""
    before = counted(board)
    group = Class(learners)
    group.work(4.0 * (kills + 1))
    for _ in range(kills):
        time.sleep(2)
        board.restart()
    group.wait()
    made, kept = sum(map(len, group.sent)), counted(board) - before
    print(f"{made} checks over {kills} kills: the board has {kept}")
    return abs(made - kept)


def counted(board: Board) -> int:
    return sum(row["attempts"] for row in board.rows() if row.get("exercise") == EXERCISE)


def in_the_notebook(board: Board, times: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LAB_PROGRESS"] = str(Path(folder) / "progress.jsonl")
        with redirect_stdout(sys.stderr):
            member.join(board.address, board.code, name="The notebook")
        took = []
        for _ in range(times):
            start = time.perf_counter()
            member.checked(LAB, EXERCISE, 0.0, 1.0, "k - 1")
            took.append(time.perf_counter() - start)
            time.sleep(0.05)
        member._outbox().leave()
    print(
        f"a check pays {statistics.median(took) * 1000:.1f} ms for it, at most"
        f" {max(took) * 1000:.0f} ms of {times}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--learners", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    print(f"{device.describe()}; {time.strftime('%Y-%m-%d')}; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as board:
        learners = [Learner(board, f"Learner {i}") for i in range(options.learners)]
        for one in learners:
            one.join()
        time.sleep(10)  # the tables of misconceptions are being read
        to_the_page(board, learners, options.seconds)
        in_the_notebook(board)
        return int(over_kills(board, learners, options.kills) > 0)


if __name__ == "__main__":
    sys.exit(main())
