"""A board as `python -m grading workshop` serves it, and learners who talk to it over HTTP."""

import http.client
import json
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from grading.learner.wire import ask

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # seconds: a limit, not an expectation; others may keep the machine busy


def wait(until: Callable[[], T], what: str) -> T:
    """What `until()` gives as soon as it is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := until():
            return found
        time.sleep(0.05)
    raise AssertionError(f"Waited {PATIENCE:g} seconds in vain: {what}.")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Board:
    """A board's process; started again, it has the same folder and port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None
    said: str = ""
    options: tuple[str, ...] = ()
    under = ""  # the beginning of each path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.under}"

    @property
    def code(self) -> str:
        return self._found(r'join\("[^"]+", "(\w{3}-\w{3})"')

    @property
    def page(self) -> str:
        return self._found(r"(http://127\.0\.0\.1:\d+\S*/board#\S+)")

    @property
    def key(self) -> str:
        return self.page.partition("#")[2]

    def start(self) -> None:
        place = ["--folder", str(self.folder), "--port", str(self.port), "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "grading", "workshop", *place, *self.options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._read_welcome()

    def _read_welcome(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ctrl-C"):
                return
        raise AssertionError(f"the board did not open: {self.said}")

    def close(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def kill(self) -> None:
        """As a power cut or the kernel does: without a word."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def restart(self) -> None:
        """Killed, and opened again."""
        self.kill()
        self.start()

    def age(self, learner: "Learner", seconds: float) -> None:
        """Have a learner have joined so much earlier."""
        with closing(sqlite3.connect(self.folder / "board.sqlite")) as base, base:
            base.execute(
                "UPDATE learners SET joined = joined - ? WHERE name = ?", (seconds, learner.name)
            )

    def ask(self, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
        """As the instructor's page does."""
        return ask(self.address, method, path, token=self.key, **more)

    def picture(self, *, names: bool = True) -> dict[str, Any]:
        """The first picture of the live stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            path = f"{self.under}/api/live?names={'yes' if names else 'no'}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
            line = connection.getresponse().readline()
            return json.loads(line.removeprefix(b"data: "))
        finally:
            connection.close()

    def receipt(self, *files: Path) -> str:
        """What `python -m grading receipt` says, be it yes or no."""
        names = [*map(str, files), "--folder", str(self.folder)]
        command = [sys.executable, "-m", "grading", "receipt", *names]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def rows(self) -> list[dict[str, Any]]:
        return self.ask("/api/export.json")["rows"]

    def _found(self, pattern: str) -> str:
        found = re.search(pattern, self.said)
        assert found, self.said
        return found[1]


@contextmanager
def opened(folder: Path, *options: str) -> Iterator[Board]:
    board = Board(folder, options=options)
    board.start()
    try:
        yield board
    finally:
        board.close()


@dataclass
class Learner:
    """Somebody who talks to the board without a notebook, honestly or not."""

    board: Board
    name: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def join(self) -> dict[str, Any]:
        wanted = {"code": self.board.code, "name": self.name, "token": self.token}
        return ask(self.board.address, "POST", "/api/join", body=wanted)

    def send(self, *events: dict[str, Any]) -> dict[str, Any]:
        numbered = [{"id": secrets.token_hex(8), "ago": 0, **one} for one in events]
        return self.ask("/api/events", body={"events": numbered})

    def check(self, lab: str, exercise: str, points: float, misconception: str = "") -> None:
        event = {"kind": "check", "lab": lab, "exercise": exercise, "points": points}
        self.send({**event, "misconception": misconception, "attempt": 1, "seconds": 1.0})

    def hand_in(self, lab: str, content: bytes) -> dict[str, Any]:
        return self.ask(f"/api/notebook/{lab}", content=content)

    def ask(self, path: str, method: str = "POST", **more: Any) -> dict[str, Any]:
        return ask(self.board.address, method, path, token=self.token, timeout=60, **more)
