"""What a notebook has to tell the board, kept on disk until the board has it.

One SQLite file for all notebooks of a learner, beside the file of the learner's progress. SQLite
keeps the order and the numbers right where two notebooks write at once, or one is killed.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_WAITING = 20_000  # what a notebook keeps for a board that never comes back
_PATIENCE = 0.5  # seconds that a check waits for another notebook's write
_SCHEMA = """
CREATE TABLE IF NOT EXISTS membership (
    one INTEGER PRIMARY KEY CHECK (one = 1), address TEXT, code TEXT, name TEXT, token TEXT,
    state TEXT, notice TEXT);
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, queued REAL, body TEXT);
CREATE TABLE IF NOT EXISTS attempts (
    lab TEXT, exercise TEXT, count INTEGER, PRIMARY KEY (lab, exercise));
"""


@dataclass(frozen=True)
class Membership:
    """Where a learner has joined, or wants to.

    token: drawn here, so that joining twice is joining once; the board keeps its digest.
    state: asked (the board has not answered yet), joined, refused or left.
    notice: a sentence that the learner has not been told yet.
    """

    address: str
    code: str
    name: str
    token: str
    state: str = "asked"
    notice: str = ""

    @property
    def active(self) -> bool:
        return self.state in ("asked", "joined")

    @property
    def place(self) -> tuple[str, str]:
        return self.address, self.name


class Outbox:
    """The queue and the membership in one file. Its methods raise sqlite3.Error and OSError.

    It stays open, since what closes last has to tidy up, which takes longer than all the rest.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()  # the learner's cell and the sender share the connection
        self._base: sqlite3.Connection | None = None

    def exists(self) -> bool:
        return self.file.exists()

    def membership(self) -> Membership | None:
        with self._open() as base:
            row = base.execute(
                "SELECT address, code, name, token, state, notice FROM membership"
            ).fetchone()
        return Membership(*row) if row else None

    def enrol(self, address: str, code: str, name: str, token: str = "") -> Membership:
        """Note where the learner wants to join. At the same board under the same name it is the
        same learner, with what still waits; elsewhere nothing of before goes along.

        token: to be used in place of one that is drawn here.
        """
        before = self.membership()
        same = before is not None and before.place == (address, name)
        token = token or (before.token if before and same else secrets.token_urlsafe(32))
        member = Membership(address, code, name, token)
        with self._open() as base:
            if not same:
                _forget(base)
            base.execute(
                "INSERT OR REPLACE INTO membership VALUES (1, ?, ?, ?, ?, 'asked', '')",
                (address, code, name, token),
            )
        return member

    def settle(self, member: Membership, state: str, notice: str = "") -> None:
        """Note what became of a membership, unless another one has taken its place."""
        with self._open() as base:
            base.execute(
                "UPDATE membership SET state = ?, notice = ? WHERE token = ? AND state != 'left'",
                (state, notice, member.token),
            )

    def leave(self) -> None:
        """Send nothing more. The token stays: with it the learner can come back."""
        with self._open() as base:
            base.execute("UPDATE membership SET state = 'left', notice = ''")
            base.execute("DELETE FROM waiting")

    def forget(self) -> None:
        with self._open() as base:
            _forget(base)

    def notice(self) -> str:
        """What the learner has not been told yet; told by this."""
        with self._open() as base:
            row = base.execute("SELECT notice FROM membership WHERE notice != ''").fetchone()
            if row:
                base.execute("UPDATE membership SET notice = ''")
        return row[0] if row else ""

    def add(self, event: Mapping[str, Any]) -> None:
        """Queue an event; one of a check gets the number of its attempt."""
        with self._open() as base:
            body = dict(event)
            if body["kind"] == "check":
                key = (body["lab"], body["exercise"])
                base.execute(
                    "INSERT INTO attempts VALUES (?, ?, 1)"
                    " ON CONFLICT DO UPDATE SET count = count + 1",
                    key,
                )
                (body["attempt"],) = base.execute(
                    "SELECT count FROM attempts WHERE lab = ? AND exercise = ?", key
                ).fetchone()
            base.execute(
                "INSERT INTO waiting (id, queued, body) VALUES (?, ?, ?)",
                (secrets.token_hex(8), time.time(), json.dumps(body)),
            )
            base.execute(
                "DELETE FROM waiting WHERE number <= (SELECT MAX(number) FROM waiting) - ?",
                (MOST_WAITING,),
            )

    def waiting(self, most: int = 50) -> list[tuple[int, dict[str, Any]]]:
        """The oldest events with their numbers. `ago` is in seconds by this machine's clock, of
        which only differences are used: it may be wrong."""
        with self._open() as base:
            rows = base.execute(
                "SELECT number, id, queued, body FROM waiting ORDER BY number LIMIT ?", (most,)
            ).fetchall()
        now = time.time()
        return [
            (number, {**json.loads(body), "id": one, "ago": max(0.0, now - queued)})
            for number, one, queued, body in rows
        ]

    def done(self, numbers: list[int]) -> None:
        """Let go of events that the board has."""
        with self._open() as base:
            base.executemany("DELETE FROM waiting WHERE number = ?", [(one,) for one in numbers])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection, and what is done on it all together or not at all."""
        with self._lock:
            if self._base is None or not self.file.exists():
                self._base = self._connected()
            with self._base as base:
                yield base

    def _connected(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.touch(mode=0o600)  # it holds the token
        base = sqlite3.connect(self.file, timeout=_PATIENCE, check_same_thread=False)
        base.execute("PRAGMA journal_mode=WAL")  # its commits need not wait for the disk
        base.execute("PRAGMA synchronous=NORMAL")
        base.executescript(_SCHEMA)
        return base


def _forget(base: sqlite3.Connection) -> None:
    for table in ("membership", "waiting", "attempts"):
        base.execute(f"DELETE FROM {table}")
