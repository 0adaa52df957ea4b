"""What a board keeps, in one SQLite file: learners, events, notebooks, and its own secrets.

Nothing is answered before it is on the disk. An event is kept once, by the number that its notebook
drew for it; the order of arrival is the order of events.
"""

import hashlib
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grading.course.files import CourseError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS learners (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, folded TEXT UNIQUE, token BLOB UNIQUE,
    joined REAL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, learner INTEGER, id TEXT, at REAL, kind TEXT,
    lab TEXT, exercise TEXT, points REAL, attempt INTEGER, seconds REAL, misconception TEXT,
    text TEXT, UNIQUE (learner, id));
CREATE TABLE IF NOT EXISTS notebooks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, learner INTEGER, lab TEXT, digest TEXT,
    bytes INTEGER, at REAL);
"""
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that is taken for another


@dataclass(frozen=True)
class Learner:
    id: int
    name: str
    joined: float


@dataclass(frozen=True)
class Event:
    """One thing that happened. kind: open, check, hand, lowered; at: the board's time; attempt and
    seconds (since the lab was opened): as the notebook counts them."""

    learner: int
    id: str
    at: float
    kind: str
    lab: str = ""
    exercise: str = ""
    points: float = 0.0
    attempt: int = 0
    seconds: float = 0.0
    misconception: str = ""
    text: str = ""


@dataclass(frozen=True)
class HandedIn:
    """One version of a notebook; digest: SHA-256 of its bytes."""

    learner: int
    lab: str
    digest: str
    bytes: int
    at: float


class NameTaken(Exception):
    """Somebody else has this name."""


class Store:
    """The file `board.sqlite` in a folder, made where it is missing. Raises CourseError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / "board.sqlite"
        file.touch(mode=0o600)
        try:
            self._base = sqlite3.connect(file, timeout=1.0)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise CourseError(f"{file} cannot be used as a board's file: {error}.") from None
        self.code = self._setting("code", "".join(secrets.choice(_LETTERS) for _ in range(6)))
        self.key = self._setting("key", secrets.token_urlsafe(24))
        self.secret = self._setting("secret", secrets.token_hex(32)).encode()

    def close(self) -> None:
        self._base.close()

    def join(self, name: str, token: str) -> Learner:
        """The learner of this name and token, new or from before. Raises NameTaken."""
        known = self.learner(token)
        if known is not None and folded(known.name) == folded(name):
            return known
        with self._base:
            try:
                self._base.execute(
                    "INSERT INTO learners (name, folded, token, joined) VALUES (?, ?, ?, ?)",
                    (name, folded(name), _digest(token), time.time()),
                )
            except sqlite3.IntegrityError:
                raise NameTaken(name) from None
        learner = self.learner(token)
        assert learner is not None
        return learner

    def learner(self, token: str) -> Learner | None:
        """Whose token this is. What is compared are digests, so time tells nothing of a token."""
        row = self._base.execute(
            "SELECT id, name, joined FROM learners WHERE token = ?", (_digest(token),)
        ).fetchone()
        return Learner(*row) if row else None

    def learners(self) -> list[Learner]:
        rows = self._base.execute("SELECT id, name, joined FROM learners ORDER BY id")
        return [Learner(*row) for row in rows]

    def add(self, events: Iterable[Event]) -> list[Event]:
        """Keep events, all or none; returns those that were not there before."""
        new = []
        with self._base:
            for event in events:
                done = self._base.execute(
                    "INSERT OR IGNORE INTO events (learner, id, at, kind, lab, exercise, points,"
                    " attempt, seconds, misconception, text) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    tuple(vars(event).values()),
                )
                if done.rowcount:
                    new.append(event)
        return new

    def events(self) -> Iterator[Event]:
        rows = self._base.execute(
            "SELECT learner, id, at, kind, lab, exercise, points, attempt, seconds, misconception,"
            " text FROM events ORDER BY number"
        )
        return (Event(*row) for row in rows)

    def hand_in(self, version: HandedIn) -> None:
        with self._base:
            self._base.execute(
                "INSERT INTO notebooks (learner, lab, digest, bytes, at) VALUES (?, ?, ?, ?, ?)",
                tuple(vars(version).values()),
            )

    def notebooks(self) -> list[HandedIn]:
        """Every version, in the order in which they came."""
        rows = self._base.execute(
            "SELECT learner, lab, digest, bytes, at FROM notebooks ORDER BY number"
        )
        return [HandedIn(*row) for row in rows]

    def forget(self, learner: int, *, name: bool) -> None:
        """Delete a learner's events; `name`: and the learner, so that the name is free again."""
        with self._base:
            self._base.execute("DELETE FROM events WHERE learner = ?", (learner,))
            if name:
                self._base.execute("DELETE FROM learners WHERE id = ?", (learner,))

    def _setting(self, key: str, new: str) -> str:
        with self._base:
            self._base.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, new))
        (value,) = self._base.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return value


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def folded(name: str) -> str:
    """Names that look alike, or are one folder on some disks, are one name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
